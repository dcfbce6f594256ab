"""Writes the photos and records that commands of the documentation name into the current folder."""

from pathlib import Path

import tensorflow as tf

for name in ("daisies", "roses"):
    folder = Path("photos", name)
    folder.mkdir(parents=True)
    for number in range(8):
        pixels = tf.cast(tf.random.stateless_uniform([48, 64, 3], [number, 1], maxval=256, dtype=tf.int32), tf.uint8)
        (folder / f"{number}.jpg").write_bytes(tf.io.encode_jpeg(pixels).numpy())
Path("shards").mkdir()
for shard in range(2):
    with tf.io.TFRecordWriter(f"shards/{shard}.tfrecord") as writer:
        for number in range(16):
            label = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
            writer.write(tf.train.Example(features=tf.train.Features(feature={"label": label})).SerializeToString())
