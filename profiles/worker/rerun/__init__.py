"""A training script with another dataset in the place of its own: in turns with other processes, or with a plan."""
