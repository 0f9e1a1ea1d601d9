"""Collects what a build attests of its image."""
