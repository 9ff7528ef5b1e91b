"""Fine-tuning datasets made of verified files: examples by task, rows, splits, formats, card and check."""
