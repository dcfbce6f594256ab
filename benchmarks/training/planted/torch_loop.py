"""A loop in torch over NumPy arrays in a DataLoader without workers."""

import torch
from log import batches, step

dataset = batches(100)


class Rows(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from dataset.as_numpy_iterator()


total = torch.zeros(())
for _ in range(50):
    for batch in torch.utils.data.DataLoader(Rows(), batch_size=None):
        total += batch.sum()
        step()
