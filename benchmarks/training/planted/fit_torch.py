"""Keras' fit on torch, whose own compilation needs a compiler of C++."""

from other_backend import fit

fit("torch", jit_compile=False)
