"""Edits made in the text of a Python function, in which only the changed lines change."""
