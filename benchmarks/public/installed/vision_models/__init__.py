"""A library of image models as an installer would leave it: its input side alone."""
