"""From the request to the evaluated stages, before any step runs."""
