"""Rendering of a spec as Python."""
