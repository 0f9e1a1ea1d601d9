"""Authorization at a registry: challenges, tokens, headers."""
