"""Calls of an `ops:` chain that are more than a function call."""
