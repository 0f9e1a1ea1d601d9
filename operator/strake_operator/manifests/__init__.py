"""The Kubernetes objects that carry out a run: pure functions from a build to a ConfigMap and a Job."""
