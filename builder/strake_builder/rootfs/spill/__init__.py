"""Collections that keep little in memory and the rest on disk."""
