"""Starts the processes of steps where no PID namespace ends them, and ends them."""
