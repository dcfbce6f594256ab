"""Synthesised inputs: made once, kept by the hash of what they hold."""
