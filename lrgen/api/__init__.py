"""What ``import lrgen`` offers: results, models, datasets and settings as plain functions and constants."""
