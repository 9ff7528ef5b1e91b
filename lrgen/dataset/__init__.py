"""Fine-tuning data: examples of the tasks as rows, split by group, in the formats that trainers read."""
