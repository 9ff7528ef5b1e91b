"""Python source as text: sections, differences and normal forms; nothing here is executed."""
