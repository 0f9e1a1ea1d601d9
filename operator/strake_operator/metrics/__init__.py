"""What a platform sees of the operator from outside: numbers for Prometheus, and whether it is ready."""
