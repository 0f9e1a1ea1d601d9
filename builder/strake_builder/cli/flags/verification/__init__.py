"""Flags of the checks that an image must pass before its tags move."""
