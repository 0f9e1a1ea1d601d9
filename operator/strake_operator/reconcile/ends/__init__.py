"""How a run ends, or what keeps it from going on."""
