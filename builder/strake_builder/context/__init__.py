"""The build context: where it comes from, and which of its files the build may see."""
