"""Verification: the checks, the sandbox and the engines that execute files, and the outcome of each file."""
