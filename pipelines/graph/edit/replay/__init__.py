"""Stages of a live dataset replaced by a replay of what they gave."""
