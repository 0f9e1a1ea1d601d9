"""Values that are written as text: durations, quantities, platforms, sizes."""
