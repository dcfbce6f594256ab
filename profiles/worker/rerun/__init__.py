"""A training script with another dataset in the place of its own: in turns with other processes, with a plan, or taken."""
