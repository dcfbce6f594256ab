"""Keras' fit on torch."""

from other_backend import fit

fit("torch")
