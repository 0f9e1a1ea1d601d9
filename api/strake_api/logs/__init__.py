"""A run's log: its lines, and the form in which a registry keeps it."""
