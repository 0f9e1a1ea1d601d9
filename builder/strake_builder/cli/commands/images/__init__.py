"""Commands for images that are there: `copy`, `push`, `inspect`."""
