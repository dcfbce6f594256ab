"""Keras' fit on JAX."""

from other_backend import fit

fit("jax")
