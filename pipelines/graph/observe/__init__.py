"""Observation of the user's code while it builds a dataset."""
