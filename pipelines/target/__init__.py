"""Targets: specs and Python functions, their modules and arguments."""
