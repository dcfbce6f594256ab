"""A training script with another dataset in place of its own: in turns, with a plan, or with no training."""
