"""One kind of training example a module; ``TASKS`` are all of them, in the order in which they are built."""
