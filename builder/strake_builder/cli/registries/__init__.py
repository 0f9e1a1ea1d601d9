"""How a command reaches registries, and with which credentials and keys."""
