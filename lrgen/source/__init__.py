"""Python source as text: sections, diffs and normal forms; no source is executed."""
