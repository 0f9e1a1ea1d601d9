"""Mounts and the system calls for them."""
