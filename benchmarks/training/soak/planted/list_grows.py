"""A loop that keeps what each epoch predicted in a list: 1 MB an epoch."""

import numpy as np
import tensorflow as tf
from epochs import epoch_ended

features = np.random.default_rng(0).normal(size=(1000, 32)).astype("float32")
ds = tf.data.Dataset.from_tensor_slices(features).shuffle(1000).batch(50).prefetch(2)
weights = tf.Variable(tf.random.normal((32, 250)))
history = []


@tf.function
def step(batch):
    return tf.nn.relu(batch @ weights)


for epoch in range(1000):
    predicted = [step(batch).numpy() for batch in ds for _ in range(12)]
    history.append(np.concatenate(predicted[:: len(predicted) // 20])[:1000] * 1.0)
    epoch_ended()
