"""A JAX loop on a GPU, fed by tf.data: `python jax_loop.py --truth FOLDER` times it without pipeprof."""

import os
import time
from itertools import repeat

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import feed
import jax
import jax.numpy as jnp

given = feed.arguments()

weights = jax.random.normal(jax.random.key(0), (8192, 8192), jnp.bfloat16) / 8192**0.5
params = jax.random.normal(jax.random.key(1), (3, 10)) * 0.1


def loss_of(params, batch):
    """The mean square of a layer's results."""
    return jnp.square(batch.mean((1, 2)) @ params).mean()


@jax.jit
def update(params, weights, batch):
    """Train on a batch, and give the GPU more to do."""
    loss, gradient = jax.value_and_grad(loss_of)(params, batch)
    product = weights
    for _ in range(given.products):
        product = product @ weights
    return params - 0.01 * gradient, loss + 0 * product[0, 0].astype(jnp.float32)


def timed(count, batches):
    """Take so many steps; returns the milliseconds of one, and those in which the host waited for its batch."""
    global params
    fetch, began = 0.0, time.perf_counter()
    for _ in range(count):
        asked = time.perf_counter()
        batch = next(batches)
        fetch += time.perf_counter() - asked
        params, loss = update(params, weights, batch)
        if given.reads:
            loss.block_until_ready()
    loss.block_until_ready()
    return round(1e3 * (time.perf_counter() - began) / count, 2), round(1e3 * fetch / count, 2)


if given.truth:
    import traced

    fed, held = feed.batches(given.stall).repeat().as_numpy_iterator(), feed.picture()
    timed(10, fed)
    alone, _ = timed(50, repeat(jax.device_put(held)))
    copied, _ = timed(50, repeat(held))
    with feed.nvml() as utilisation:
        interval, fetch = timed(200, fed)
        nvml = utilisation()
    with traced.into(given.truth):
        under_trace, _ = timed(50, fed)
    feed.say(alone_ms=alone, copied_ms=copied, interval_ms=interval, fetch_ms=fetch, nvml=nvml, traced_ms=under_trace)
else:
    for _ in range(50):
        for batch in feed.batches(given.stall).as_numpy_iterator():
            params, loss = update(params, weights, batch)
            if given.reads:
                loss.block_until_ready()
