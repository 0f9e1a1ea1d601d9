"""Text of a Dockerfile, without its syntax."""
