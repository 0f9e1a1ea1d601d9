"""kaniko's executor: its flags, its variables, and what becomes of them."""
