"""A spec as the Python that a person would write for the same pipeline."""
