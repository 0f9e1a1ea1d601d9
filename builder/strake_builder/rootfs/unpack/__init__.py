"""Archives and layers become files."""
