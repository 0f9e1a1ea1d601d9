"""Progress: the same events for people and for machines."""
