"""Parts of the builder's pod that each have one subject."""
