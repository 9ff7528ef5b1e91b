"""Rendering: templates and records → source text → files with a manifest."""
