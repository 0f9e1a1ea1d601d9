"""The live view of a build on a terminal."""
