"""Runs steps without a namespace: at the container's own root, or confined by chroot(2)."""
