"""A loop over a dataset, epoch after epoch."""

from log import batches, step

dataset = batches(100)
for _ in range(50):
    for _batch in dataset:
        step()
