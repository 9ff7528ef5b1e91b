"""The page that compares scored runs, with a browser of their samples."""
