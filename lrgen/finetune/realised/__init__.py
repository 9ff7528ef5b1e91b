"""Examples of compositions, for the tasks that also have examples of files."""
