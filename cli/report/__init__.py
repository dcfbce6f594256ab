"""Sections of a report on one measurement: each builds format-neutral blocks from a profile."""
