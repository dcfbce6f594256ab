"""Materialise a pipeline prefix to files."""
