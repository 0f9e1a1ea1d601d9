"""What a platform sets, read from the environment once."""
