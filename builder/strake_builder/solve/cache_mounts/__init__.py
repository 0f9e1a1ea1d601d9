"""Cache mounts of a build, brought from the cache repository and back: what touches the disk."""
