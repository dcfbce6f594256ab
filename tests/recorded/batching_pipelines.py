"""A small pipeline for every op that batches, and pipelines whose functions batch: see ``record_graphs.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeprof.pipelines.graph.observe.reading import read_written
from pipeprof.profiles.worker.steps.headspace import length_of

DATASET = tf.data.Dataset
FEATURES = {"x": tf.io.FixedLenFeature([], tf.int64)}


def make_files(folder: Path) -> None:
    """A CSV file and a TFRecord file of 12 rows, and folders of images and texts with 6 files for each of 2 classes."""
    (folder / "rows.csv").write_text("x,y\n" + "".join(f"{row},{row}\n" for row in range(12)))
    with tf.io.TFRecordWriter(str(folder / "records")) as writer:
        for row in range(12):
            value = tf.train.Feature(int64_list=tf.train.Int64List(value=[row]))
            writer.write(tf.train.Example(features=tf.train.Features(feature={"x": value})).SerializeToString())
    contents = {
        "images": (".png", tf.io.encode_png(np.zeros((2, 2, 3), np.uint8)).numpy()),
        "texts": (".txt", b"text"),
        "sounds": (".wav", tf.audio.encode_wav(np.zeros((8, 1), np.float32), 8).numpy()),
    }
    for kind, (suffix, content) in contents.items():
        for number in range(12):
            path = folder / kind / "ab"[number % 2] / f"{number}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def rows(length: tf.Tensor) -> tf.Tensor:
    """A vector whose length differs from element to element."""
    return tf.range(length % 3)


def batching_pipelines(folder: Path) -> dict[str, Any]:
    """Pipelines by name: that of the op that batches, or what the pipeline is for."""
    make_files(folder)
    numbers = DATASET.range(12)
    utils, experimental = tf.keras.utils, tf.data.experimental
    images, texts, sounds, records = (str(folder / name) for name in ("images", "texts", "sounds", "records"))
    fours = numbers.batch(4)
    full = numbers.batch(4, drop_remainder=True)
    ten = DATASET.range(10).batch(4)
    signature = tf.TensorSpec([], tf.int64)

    def odd(number: Any) -> Any:
        return tf.cast(number % 2, tf.int32)

    def flipped(batch: Any) -> Any:
        return tf.transpose(tf.stack([batch, batch], 1))

    def masked(batch: Any) -> Any:
        return tf.boolean_mask(batch, batch % 2 == 0)

    shared = numbers.window(4, shift=1, drop_remainder=True).flat_map(lambda window: window.batch(4))
    return {
        "batch": fours,
        "padded_batch": numbers.map(rows).padded_batch(4),
        "ragged_batch": numbers.map(rows).ragged_batch(4),
        "sparse_batch": numbers.map(rows).sparse_batch(4, [3]),
        "rebatch": numbers.batch(6).rebatch(4),
        "bucket_by_sequence_length": numbers.bucket_by_sequence_length(odd, [1], [4, 2]),
        "map+batch": numbers.apply(experimental.map_and_batch(lambda number: number, 4)),
        "make_csv_dataset": experimental.make_csv_dataset(str(folder / "rows.csv"), 4, num_epochs=1),
        "make_batched_features_dataset": experimental.make_batched_features_dataset(records, 4, FEATURES, num_epochs=1),
        "image_dataset_from_directory": utils.image_dataset_from_directory(images, batch_size=4, verbose=False),
        "text_dataset_from_directory": utils.text_dataset_from_directory(texts, batch_size=4, verbose=False),
        "audio_dataset_from_directory": utils.audio_dataset_from_directory(
            sounds, batch_size=4, output_sequence_length=8, verbose=False
        ),
        "timeseries_dataset_from_array": utils.timeseries_dataset_from_array(np.arange(16.0), None, 5, batch_size=4),
        "group_by_window": numbers.group_by_window(lambda n: n % 2, lambda _, group: group.batch(3), 3),
        "window, flat_map": numbers.window(4).flat_map(lambda window: window.batch(4)),
        "interleave": DATASET.range(3).interleave(lambda _: DATASET.range(4).batch(2)),
        "zip": DATASET.zip((numbers.batch(4), numbers.batch(4))),
        "enumerate": fours.enumerate(),
        "snapshot": fours.snapshot(str(folder / "snapshot")),
        "sample_from_datasets": DATASET.sample_from_datasets([numbers.batch(4), numbers.batch(4)], seed=1),
        "rejection_resample": numbers.rejection_resample(odd, [0.5, 0.5], seed=1).batch(4, drop_remainder=True),
        "parse_example_dataset": tf.data.TFRecordDataset(records)
        .batch(4)
        .apply(experimental.parse_example_dataset(FEATURES)),
        "batch of batches, unbatch": numbers.batch(3).batch(2).unbatch(),
        "single: unbatch": fours.map(lambda batch: (batch, batch)).unbatch(),
        "single: window, flat_map": numbers.window(4).flat_map(lambda window: window),
        "single: group_by_window": numbers.group_by_window(lambda n: n % 2, lambda _, group: group, 3),
        "single: image_dataset_from_directory": utils.image_dataset_from_directory(
            images, batch_size=None, verbose=False
        ),
        "single: flat_map": fours.flat_map(DATASET.from_tensor_slices),
        "single: from_generator": DATASET.from_generator(lambda: iter(range(3)), output_signature=signature),
        "overlapping windows, batch": shared.batch(3),
        "unknown: overlapping windows": shared,
        "unknown: batch of batches": full.batch(3, drop_remainder=True),
        "unknown: batch of sequences": fours.map(lambda row: (row[:-1], row[1:])).batch(3),
        "unknown: file of rows": DATASET.range(3).map(lambda _: tf.zeros([4, 2])),
        "unknown: batches in memory": DATASET.from_tensors(tf.zeros([4, 2])).repeat(3),
        "unknown: crops": fours.map(lambda batch: tf.stack([batch, batch])).unbatch(),
        "unknown: transposed": ten.map(flipped),
        "full: transposed": fours.map(flipped),
        "full: nested": fours.map(lambda batch: batch[tf.newaxis]),
        "unknown: window": numbers.window(4),
        "unknown: zip": DATASET.zip((numbers, fours)),
        "unknown: masked": ten.map(masked),
        "full: masked": fours.map(masked),
    }


def with_length(dataset: Any) -> dict[str, Any]:
    """The graph of a pipeline, and how long its batches are on average."""
    lengths = [length for batch in dataset.take(100) if (length := length_of(batch)) is not None]
    mean = sum(lengths) / len(lengths) if lengths else None
    return {"length": mean, "written": read_written(dataset, in_memory=10_000)}
