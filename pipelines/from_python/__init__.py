"""Conversion of a user's function to a spec."""
