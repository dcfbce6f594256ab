"""An iterator of a dataset that repeats, and next."""

from log import batches, step

iterator = iter(batches(100).repeat())
for _ in range(5000):
    next(iterator)
    step()
