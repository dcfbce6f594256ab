"""Makers of synthesised inputs, run in a process of their own."""
