"""Tells a receiver of the platform's that runs ended: CloudEvents 1.0 over HTTP, signed."""
