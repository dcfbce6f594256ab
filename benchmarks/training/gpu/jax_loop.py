"""A JAX loop on a GPU, fed by tf.data: `python jax_loop.py --truth` times the step alone, without pipeprof."""

import os
import time

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


if given.truth:
    iterator = feed.batches(given.stall).repeat().as_numpy_iterator()
    batch = jax.device_put(next(iterator))
    for timed in (False, True):
        began = time.perf_counter()
        for _ in range(20):
            params, loss = update(params, weights, batch)
        loss.block_until_ready()
        if timed:
            print(f"a step alone takes {50 * (time.perf_counter() - began):.1f} ms")
    began = time.perf_counter()
    for _ in range(100):
        params, loss = update(params, weights, next(iterator))
        if given.reads:
            loss.block_until_ready()
    loss.block_until_ready()
    print(f"with its batch {10 * (time.perf_counter() - began):.1f} ms")
else:
    for _ in range(50):
        for batch in feed.batches(given.stall).as_numpy_iterator():
            params, loss = update(params, weights, batch)
            if given.reads:
                loss.block_until_ready()
