"""The directories in which a build works."""
