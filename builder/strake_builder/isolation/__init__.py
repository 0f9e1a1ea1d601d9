"""How steps are kept apart from the machine: three ways, the strictest that can be had here."""
