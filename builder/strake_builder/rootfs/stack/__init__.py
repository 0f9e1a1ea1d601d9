"""Layers on top of each other, read without a mount."""
