"""``make matrix``: every schedule in every trainer, the learning rate of each update against its curve."""
