"""The commands of `kubectl strake`, one a module."""
