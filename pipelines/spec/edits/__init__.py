"""Edits applied to a spec: to its data, and to its text with everything else left as it was written."""
