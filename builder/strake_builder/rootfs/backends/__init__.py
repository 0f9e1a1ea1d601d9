"""Writable root file systems for steps: by overlay, or by copying and scanning."""
