"""Documents of hundreds of words as VarLenFeature, parsed one by one, then batched as sparse tensors.

tensorflow/ranking issue 170, 2020-02-25.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from folders import once


def make(folder):
    rng = np.random.default_rng(4)
    words = [f"word{i}".encode() for i in range(5000)]
    with tf.io.TFRecordWriter(str(folder / "documents.tfrecord")) as writer:
        for _ in range(3000):
            doc = [words[i] for i in rng.integers(0, 5000, rng.integers(400, 900))]
            feature = {
                "query_text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a question of some words"])),
                "doc": tf.train.Feature(bytes_list=tf.train.BytesList(value=doc)),
                "rel": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(rng.integers(0, 3))])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


FOLDER = once("long_sparse_documents", make)
FEATURES = {
    "query_text": tf.io.FixedLenFeature([1], tf.string),
    "doc": tf.io.VarLenFeature(tf.string),
    "rel": tf.io.FixedLenFeature([1], tf.int64, default_value=[-1]),
}


def parse(record):
    parsed = tf.io.parse_single_example(record, FEATURES)
    return {"query_text": parsed["query_text"], "doc": parsed["doc"]}, parsed["rel"]


def parse_batch(records):
    parsed = tf.io.parse_example(records, FEATURES)
    return {"query_text": parsed["query_text"], "doc": parsed["doc"]}, parsed["rel"]


def pipeline():
    records = tf.data.TFRecordDataset(str(FOLDER / "documents.tfrecord")).shuffle(1000).repeat()
    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(tf.data.AUTOTUNE)


def fixed():
    """parse_example on batches: the same sparse batches without a sparse tensor for each record."""
    records = tf.data.TFRecordDataset(str(FOLDER / "documents.tfrecord")).shuffle(1000).repeat()
    return records.batch(32).map(parse_batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
