"""Flags that commands share, and what they mean."""
