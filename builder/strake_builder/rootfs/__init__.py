"""Root file systems: unpacked layers, a writable view over them, and what a step changed in it."""
