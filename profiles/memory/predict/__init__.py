"""Prediction of memory from element sizes."""
