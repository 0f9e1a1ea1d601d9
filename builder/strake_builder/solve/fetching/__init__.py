"""Contexts on their way to the build: fetched, unpacked, and only those that are used."""
