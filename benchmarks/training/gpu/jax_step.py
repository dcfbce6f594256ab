"""A dataset and a JAX step, for `pipeprof run jax_step.py:make_dataset --step jax:jax_step.py:train_step`.

`python jax_step.py` times the plain loop, without pipeprof's loop.
"""

import os
import time
from functools import lru_cache

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import feed
import jax
import jax.numpy as jnp

PRODUCTS = 10


def make_dataset():
    """Batches that take 20 ms each."""
    return feed.batches(20)


@jax.jit
def computed(weights, batch):
    """A layer's loss, and more for the GPU to do."""
    product = weights
    for _ in range(PRODUCTS):
        product = product @ weights
    return jnp.square(batch.mean((1, 2))).mean() + 0 * product[0, 0].astype(jnp.float32)


@lru_cache(maxsize=1)
def weights():
    """What the products are of: made in the first step, not when the file is imported."""
    return jax.random.normal(jax.random.key(0), (8192, 8192), jnp.bfloat16) / 8192**0.5


def train_step(batch):
    """Compute on the GPU."""
    return computed(weights(), batch)


def timed(count, batches):
    """Take so many steps, each waited for as pipeprof does; returns the milliseconds of one."""
    began = time.perf_counter()
    for _ in range(count):
        train_step(jax.device_put(next(batches))).block_until_ready()
    return round(1e3 * (time.perf_counter() - began) / count, 2)


if __name__ == "__main__":
    batches = make_dataset().repeat().as_numpy_iterator()
    timed(20, batches)
    with feed.nvml() as utilisation:
        feed.say(interval_ms=[timed(100, batches) for _ in range(3)], nvml=utilisation())
    held = feed.picture()
    began = time.perf_counter()
    for _ in range(50):
        train_step(jax.device_put(held)).block_until_ready()
    feed.say(alone_ms=round(20 * (time.perf_counter() - began), 2))
