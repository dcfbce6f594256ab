"""A worker that takes turns with another one, block by block."""
