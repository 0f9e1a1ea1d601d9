"""What a builder pod is asked to do: one document a kind, with what they share beside them."""
