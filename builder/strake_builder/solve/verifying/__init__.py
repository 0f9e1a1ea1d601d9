"""Checks of the finished image, before its tags move."""
