"""A training script run as it is, observed by hooks on iteration."""
