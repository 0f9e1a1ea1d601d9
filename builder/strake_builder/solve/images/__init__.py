"""Base images, layers, and the finished image."""
