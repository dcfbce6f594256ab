"""Edits applied to the graph of a live dataset (worker only: needs TensorFlow)."""
