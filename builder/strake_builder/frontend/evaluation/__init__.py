"""From instructions to steps. `frontend.evaluate` puts it together."""
