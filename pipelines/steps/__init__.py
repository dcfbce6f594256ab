"""Kinds of training steps, one module each in `kinds`, and what they are made of."""
