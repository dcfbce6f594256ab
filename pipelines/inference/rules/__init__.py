"""Shape rules of the allowed functions."""
