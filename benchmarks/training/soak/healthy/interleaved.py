"""Files read by interleave, of very different lengths, with inner iterators that come and go."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
for number in range(12):
    with tf.io.TFRecordWriter(str(folder / f"{number}.tfrecord")) as writer:
        for _ in range(20 * number + 20):
            writer.write(rng.bytes(4000))
files = tf.data.Dataset.list_files(str(folder / "*.tfrecord"))
ds = files.interleave(tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=tf.data.AUTOTUNE)
ds = ds.map(lambda text: tf.io.decode_raw(text, tf.uint8), num_parallel_calls=2).batch(20, drop_remainder=True)
ds = ds.prefetch(tf.data.AUTOTUNE)


@tf.function
def step(batch):
    return tf.reduce_mean(tf.cast(batch, tf.float32))


for _ in range(1000):
    for batch in ds:
        step(batch)
