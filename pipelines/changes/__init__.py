"""A change of a pipeline, and the ways to make it."""
