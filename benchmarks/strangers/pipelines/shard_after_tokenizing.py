"""shard() stands after the tokenizing: each of four workers tokenizes all of the text and throws three quarters away.

NVIDIA/OpenSeq2Seq issue 243, 2018-10-01. Rebuilt without the cache of the report, which hides it after one epoch.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from folders import once

WORKERS, WORKER = 4, 0


def make(folder):
    rng = np.random.default_rng(1)
    words = [f"w{i:04d}" for i in range(8000)]
    (folder / "vocabulary.txt").write_text("\n".join(words))
    for side in ("source", "target"):
        lines = [" ".join(words[i] for i in rng.integers(0, 8000, rng.integers(10, 40))) for _ in range(8000)]
        (folder / f"{side}.txt").write_text("\n".join(lines * 16))


FOLDER = once("shard_after_tokenizing", make)
VOCABULARY = {word: i + 4 for i, word in enumerate((FOLDER / "vocabulary.txt").read_text().split())}


def to_ids(line):
    return np.array([2] + [VOCABULARY.get(word, 1) for word in line.decode().split()] + [3], np.int32)


def tokenize(line):
    ids = tf.numpy_function(to_ids, [line], tf.int32, stateful=False)
    ids.set_shape([None])
    return ids, tf.size(ids)


def sides(shard):
    both = []
    for side in ("source", "target"):
        lines = tf.data.TextLineDataset(str(FOLDER / f"{side}.txt"))
        if shard:
            lines = lines.shard(WORKERS, WORKER)
        both.append(lines.map(tokenize, num_parallel_calls=4))
    return tf.data.Dataset.zip(tuple(both)).filter(lambda a, b: tf.logical_and(a[1] <= 50, b[1] <= 50))


def batches(dataset):
    return dataset.shuffle(2000).repeat().padded_batch(64, padded_shapes=(([None], []), ([None], [])))


def pipeline():
    return batches(sides(shard=False).shard(WORKERS, WORKER))


def fixed():
    """What the reporter proposed: shard the lines."""
    return batches(sides(shard=True))
