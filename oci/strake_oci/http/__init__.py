"""HTTP as the clients of registries, ADD and git need it: limits, proxies, TLS, cancellation."""
