"""From flags, and a directory, to an ImageBuild."""
