"""Runs a step's command so that it sees its root file system and nothing of the builder."""
