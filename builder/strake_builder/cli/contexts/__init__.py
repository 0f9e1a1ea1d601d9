"""What people write for contexts, read into the sources of a request."""
