"""Shapes, counts and fields of tensors."""
