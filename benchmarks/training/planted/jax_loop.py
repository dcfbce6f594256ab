"""A loop in JAX over NumPy arrays; the step reads its result."""

import jax
from log import batches, step


@jax.jit
def update(total, batch):
    return total + batch.sum()


dataset = batches(100)
total = jax.numpy.zeros(())
for _ in range(50):
    for batch in dataset.as_numpy_iterator():
        total = update(total, batch)
        total.block_until_ready()
        step()
