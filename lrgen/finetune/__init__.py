"""Fine-tuning datasets made from verified files.

A task turns verified files into *examples* (``tasks``). A build assigns each example to a split and writes it as a
*row* of the dataset (``rows``), once for each format (``formats``). A *completion* is a text that answers the prompt of
a row; ``grading`` grades it.
"""
