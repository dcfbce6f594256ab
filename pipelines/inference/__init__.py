"""Inference of element structures, shapes and counts, without TensorFlow."""
