"""Everything that executes a file: checks, sandbox, engines, and how each file ended."""
