"""Writes shards of ``tf.train.Example``. Runs in the generating process only, which may import TensorFlow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from pipeprof.pipelines.data.make_images import encode_image, run_in_threads
from pipeprof.pipelines.data.make_photos import PhotoMaker
from pipeprof.pipelines.data.make_text import Vocabulary
from pipeprof.pipelines.data.models import (
    DenseFeature,
    FeatureEntry,
    IntsFeature,
    JpegFeature,
    LabelFeature,
    TextFeature,
    TFRecord,
)
from pipeprof.pipelines.data.progress import Progress

_VOCABULARY = 5_000


def make_tfrecord(recipe: TFRecord, folder: Path, progress: Progress) -> None:
    """Write all shards of ``recipe`` into ``folder``; counts one record at a time as progress."""
    import tensorflow as tf

    makers = _Makers(recipe)
    names = recipe.file_names()
    options = tf.io.TFRecordOptions(compression_type=recipe.compression_type or "")

    def write(shard: int) -> None:
        with tf.io.TFRecordWriter(str(folder / names[shard]), options) as writer:
            for record in range(shard, recipe.records, recipe.shards):
                writer.write(makers.record(record))
                progress.advance()

    run_in_threads(write, range(recipe.shards))


class _Makers:
    """What the records of one recipe have in common."""

    def __init__(self, recipe: TFRecord) -> None:
        kinds = [entry.feature for entry in recipe.features.values()]
        self._recipe = recipe
        self._photos = PhotoMaker(recipe.seed) if any(isinstance(kind, JpegFeature) for kind in kinds) else None
        self._words = (
            Vocabulary(_VOCABULARY, recipe.seed) if any(isinstance(kind, TextFeature) for kind in kinds) else None
        )

    def record(self, index: int) -> bytes:
        """Record number ``index``, whichever thread makes it."""
        import tensorflow as tf

        features = {
            name: self._feature(entry, np.random.default_rng([self._recipe.seed, 3, index, place]), index)
            for place, (name, entry) in enumerate(self._recipe.features.items())
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        return bytes(example.SerializeToString(deterministic=True))

    def _feature(self, entry: FeatureEntry, rng: np.random.Generator, index: int) -> Any:
        import tensorflow as tf

        kind = entry.feature
        if isinstance(kind, DenseFeature) and kind.dtype == "float32":
            floats = rng.random(math.prod(kind.shape), dtype=np.float32)
            return tf.train.Feature(float_list=tf.train.FloatList(value=floats))
        if isinstance(kind, JpegFeature | TextFeature):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[self._bytes(kind, rng, index)]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=_integers(kind, rng)))

    def _bytes(self, kind: JpegFeature | TextFeature, rng: np.random.Generator, index: int) -> bytes:
        if isinstance(kind, JpegFeature):
            if self._photos is None:
                msg = "no photo maker was prepared for a jpeg feature"
                raise RuntimeError(msg)
            return encode_image(self._photos, index, kind.size, group=index % 10, quality=kind.quality)
        if self._words is None:
            msg = "no vocabulary was prepared for a text feature"
            raise RuntimeError(msg)
        return self._words.line(rng, kind.words).encode()


def _integers(kind: DenseFeature | IntsFeature | LabelFeature, rng: np.random.Generator) -> list[int]:
    if isinstance(kind, DenseFeature):
        values = rng.integers(0, 1_000, math.prod(kind.shape))
    elif isinstance(kind, IntsFeature):
        shortest, longest = kind.length_range
        values = rng.integers(0, kind.max, rng.integers(shortest, longest, endpoint=True))
    else:
        values = rng.integers(0, kind.classes, 1)
    return [int(value) for value in values]
