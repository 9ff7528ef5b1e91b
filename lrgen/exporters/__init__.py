"""What was measured, in other programs' layouts, and back."""
