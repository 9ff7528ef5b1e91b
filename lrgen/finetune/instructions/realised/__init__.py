"""Instructions about the code of compositions."""
