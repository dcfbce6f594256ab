"""Edits that findings propose."""
