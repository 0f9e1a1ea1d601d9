"""The cluster as the operator reads and changes it: the only place that knows the kubernetes library."""
