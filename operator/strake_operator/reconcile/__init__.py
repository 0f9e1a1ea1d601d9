"""What to do next, decided by pure functions of what was seen."""
