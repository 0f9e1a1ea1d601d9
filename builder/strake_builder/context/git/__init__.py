"""Contexts in git: which commit, as whom, and by which way."""
