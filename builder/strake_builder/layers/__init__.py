"""Layers as byte streams: tar entries in and out, and their compression. No file system, no network."""
