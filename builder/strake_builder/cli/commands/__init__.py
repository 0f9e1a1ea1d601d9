"""The commands of `strake`, one module each."""
