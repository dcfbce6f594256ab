"""A loop over as_numpy_iterator."""

from log import batches, step

dataset = batches(100)
for _ in range(50):
    for _batch in dataset.as_numpy_iterator():
        step()
