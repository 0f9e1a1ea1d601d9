"""OpenTelemetry traces: one a run, from queue to push, made by the operator from what it reads."""
