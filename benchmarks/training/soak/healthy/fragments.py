"""Python code that makes and drops objects of all sizes at random: the heap is in fragments, and nothing is kept."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
features = rng.normal(size=(1000, 32)).astype("float32")
ds = tf.data.Dataset.from_tensor_slices(features).shuffle(1000).batch(50).prefetch(2)
weights = tf.Variable(tf.random.normal((32, 250)))
slots = [None] * 400


@tf.function
def step(batch):
    return tf.reduce_mean(tf.nn.relu(batch @ weights))


for _ in range(10_000):
    for batch in ds:
        step(batch)
        for place in rng.integers(0, len(slots), 20):
            size = int(2 ** rng.uniform(5, 16))
            slots[place] = np.ones(size, "uint8") if rng.random() < 0.5 else [b"x" * 64 for _ in range(size // 64)]
