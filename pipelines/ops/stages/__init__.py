"""Stages: one class each."""
