"""A training script as it is: what it iterates, what it writes, where it ends."""
