"""Values that flags take."""
