"""The command line. Only here an error becomes an exit status."""
