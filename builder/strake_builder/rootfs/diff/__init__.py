"""What a step changed, as a layer."""
