"""A run of several platforms: the decision about one Job, made for each part, and put together."""
