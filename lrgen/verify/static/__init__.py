"""The static layer: what the text of a file shows, without running it."""
