"""What may start, and when: the queue and the policies."""
