"""Composition of a spec from files, overlays and flags."""
