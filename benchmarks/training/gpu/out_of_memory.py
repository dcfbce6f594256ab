"""A training loop whose tenth step needs more memory than any GPU has: `python out_of_memory.py jax|torch`."""

import os
import sys

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import feed


def steps(library):
    """Return a step that takes a batch, and one that needs 4 TB."""
    if library == "torch":
        import torch

        gpu = torch.device("cuda")
        return lambda batch: torch.from_numpy(batch).to(gpu).sum(), lambda _batch: torch.empty(1 << 42, device=gpu)
    import jax
    import jax.numpy as jnp

    def too_much(batch):
        return (
            jnp.ones((1 << 20, 1), jnp.float32) * jnp.ones((1, 1 << 20), jnp.float32) + batch.mean()
        ).block_until_ready()

    return jax.jit(lambda batch: batch.sum()), too_much


def train_step(batch):
    """The step of a function's dataset, in JAX."""
    return steps("jax")[1](batch)


def make_dataset():
    """Batches that take 5 ms each."""
    return feed.batches(5)


if __name__ == "__main__":
    healthy, too_much = steps(sys.argv[1])
    for number, batch in enumerate(make_dataset().as_numpy_iterator()):
        (too_much if number == 10 else healthy)(batch)
