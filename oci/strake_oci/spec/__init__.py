"""The documents of the OCI image specification: what they are and how they are read and written."""
