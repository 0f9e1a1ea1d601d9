"""The cache of step results: keys, lookups, and what is kept for the next build."""
