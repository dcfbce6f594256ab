"""Limits of a measured rate: cores, other processes on them, restarts of the dataset, stages on one thread."""
