"""Edits tried: what is tried, pairs of workers, and what is found about a stage."""
