"""Reads record files into batches: decoding and parsing are the caller's objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vision_models.configuration import InputConfiguration

Function = Callable[..., Any]


def apply_to_each(dataset: tf.data.Dataset, function: Function | None) -> tf.data.Dataset:
    """Map the function over the dataset; all maps of this library are made here."""
    if function is None:
        return dataset
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE)


class Reader:
    """An input of batches.

    Args:
        configuration: What to read, and how.
        decode: From a record to a dictionary of tensors.
        parse: From that to what a model is given.
        after_batching: Of whole batches.
    """

    def __init__(
        self,
        configuration: InputConfiguration,
        decode: Function | None = None,
        parse: Function | None = None,
        after_batching: Function | None = None,
    ) -> None:
        self._configuration = configuration
        self._decode = decode
        self._parse = parse
        self._after_batching = after_batching

    def _records(self) -> tf.data.Dataset:
        given = self._configuration
        files = sorted(tf.io.gfile.glob(given.files))
        dataset = tf.data.Dataset.from_tensor_slices(files)
        if given.training:
            dataset = dataset.shuffle(len(files)).repeat()
        return dataset.interleave(
            tf.data.TFRecordDataset,
            cycle_length=given.open_files,
            num_parallel_calls=given.open_files,
            deterministic=given.ordered,
        )

    def read(self) -> tf.data.Dataset:
        """Make the dataset of batches."""
        given = self._configuration
        dataset = self._records()
        if given.training:
            dataset = dataset.shuffle(given.shuffle_elements)
        dataset = apply_to_each(dataset, self._decode)
        dataset = apply_to_each(dataset, self._parse)
        dataset = dataset.batch(given.batch_size, drop_remainder=given.drop_remainder)
        dataset = apply_to_each(dataset, self._after_batching)
        options = tf.data.Options()
        options.deterministic = given.ordered
        return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
