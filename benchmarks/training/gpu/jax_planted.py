"""JAX loops whose GPU idles for a known reason: `python jax_planted.py FOLDER`, one folder for each.

Each is timed without a profiler first: a step, and one whose reason is taken away. Then it runs under `jax.profiler`.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import feed
import jax
import jax.numpy as jnp
import traced

side = jax.random.normal(jax.random.key(0), (8192, 8192), jnp.bfloat16) / 8192**0.5
held = feed.picture()


@jax.jit
def products(side, extra):
    """Keep the GPU busy for 6 ms on an H200."""
    product = side
    for _ in range(4):
        product = product @ side
    return product[0, 0].astype(jnp.float32) + extra.sum()


SHAPES = iter(range(64, 10_000))
ZERO = jnp.zeros(8)


def python():
    """Python between steps that are waited for."""
    products(side, ZERO).block_until_ready()
    feed.spin(0.015)


def recompiled():
    """A shape that was not seen before."""
    return products(side, jnp.asarray(held[0, 0, : next(SHAPES) % 224, 0]) * 1.0).block_until_ready()


def read():
    """Each step waits for its result."""
    return float(products(side, ZERO))


def healthy():
    """Nothing waits."""
    return products(side, ZERO)


LOOPS = {"python": (python, 20), "compile": (recompiled, 6), "sync": (read, 40), "healthy": (healthy, 40)}


def timed(step, count):
    """Return the milliseconds of a step."""
    began = time.perf_counter()
    for _ in range(count):
        result = step()
    jax.block_until_ready(result)
    jax.block_until_ready(products(side, ZERO))
    return round(1e3 * (time.perf_counter() - began) / count, 3)


for name, (step, count) in LOOPS.items():
    timed(step, 1)
    alone, interval = timed(healthy, count), timed(step, count)
    with traced.into(str(Path(sys.argv[1]) / name)):
        for number in range(count):
            with jax.profiler.StepTraceAnnotation("train", step_num=number):
                result = step()
        jax.block_until_ready(products(side, ZERO))
    feed.say(name=name, alone_ms=alone, interval_ms=interval, idle=round(1 - alone / interval, 4))
