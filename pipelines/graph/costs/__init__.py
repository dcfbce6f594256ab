"""Costs of stages from the running model."""
