"""Targets on the command line: one, or the two sides of a comparison."""
