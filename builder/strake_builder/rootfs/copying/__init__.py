"""What COPY takes from one root, brought to another, or named by a digest."""
