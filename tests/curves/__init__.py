"""The curves against other people's schedules, one library a file."""
