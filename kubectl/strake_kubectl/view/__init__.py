"""What ImageBuilds look like on a terminal. No I/O."""
