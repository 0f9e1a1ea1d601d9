"""The forms of pods: how steps are kept apart, and which bases are mounted."""
