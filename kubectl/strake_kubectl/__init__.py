"""`kubectl strake`: ImageBuilds from a terminal, with the rights of the person who types."""
