"""Edits of a pipeline: values that say what changes."""
