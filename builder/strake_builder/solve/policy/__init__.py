"""What may be built from, and which of it: source policies, and locks, which are such policies."""
