"""Patterns of paths: wildcards, .dockerignore, --exclude."""
