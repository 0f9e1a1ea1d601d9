"""Outputs: what becomes of the finished image."""
