"""Writes shards of ``tf.train.Example``. Runs in the generating process only, which may import TensorFlow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeprof.pipelines.data.makers.make_images import encode_image, encode_mask, run_in_threads
from pipeprof.pipelines.data.makers.make_photos import PhotoMaker
from pipeprof.pipelines.data.makers.make_text import ZipfWords
from pipeprof.pipelines.data.makers.progress import DataProgress
from pipeprof.pipelines.data.recipes.models import TFRecord
from pipeprof.pipelines.data.recipes.record_features import (
    DenseFeature,
    FeatureEntry,
    FloatsFeature,
    IntsFeature,
    JpegFeature,
    LabelFeature,
    MaskFeature,
    RawFeature,
    TextFeature,
)

_T = TypeVar("_T")
_VOCABULARY = 5_000
_LARGEST_RANDOM_INTEGER = 999


def make_tfrecord(recipe: TFRecord, folder: Path, progress: DataProgress) -> None:
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
    """Feature makers of one recipe."""

    def __init__(self, recipe: TFRecord) -> None:
        kinds = [entry.feature for entry in (*recipe.features.values(), *(recipe.sequences or {}).values())]
        self._recipe = recipe
        self._photos = (
            PhotoMaker(recipe.seed) if any(isinstance(kind, JpegFeature | MaskFeature) for kind in kinds) else None
        )
        self._words = (
            ZipfWords(_VOCABULARY, recipe.seed) if any(isinstance(kind, TextFeature) for kind in kinds) else None
        )

    def record(self, index: int) -> bytes:
        """Record number ``index``, whichever thread makes it."""
        import tensorflow as tf

        features = tf.train.Features(
            feature={
                name: self._feature(entry, self._rng(index, name), index)
                for name, entry in self._recipe.features.items()
            }
        )
        if self._recipe.sequences is None:
            return bytes(tf.train.Example(features=features).SerializeToString(deterministic=True))
        lists = tf.train.FeatureLists(feature_list=self._sequences(index))
        example = tf.train.SequenceExample(context=features, feature_lists=lists)
        return bytes(example.SerializeToString(deterministic=True))

    def _rng(self, index: int, name: str) -> np.random.Generator:
        """The random numbers of one feature of one record."""
        return np.random.default_rng([self._recipe.seed, 3, index, list(self._recipe.features).index(name)])

    def _sequences(self, index: int) -> dict[str, Any]:
        import tensorflow as tf

        steps = _between(np.random.default_rng([self._recipe.seed, 8, index]), self._recipe.steps)
        lists = {}
        for place, (name, entry) in enumerate((self._recipe.sequences or {}).items()):
            rng = np.random.default_rng([self._recipe.seed, 9, index, place])
            lists[name] = tf.train.FeatureList(feature=[self._feature(entry, rng, index) for _ in range(steps)])
        return lists

    def _feature(self, entry: FeatureEntry, rng: np.random.Generator, index: int) -> Any:
        import tensorflow as tf

        kind = entry.feature
        if isinstance(kind, FloatsFeature):
            floats = rng.random(self._length(kind, rng, index), dtype=np.float32)
            return tf.train.Feature(float_list=tf.train.FloatList(value=floats))
        if isinstance(kind, DenseFeature) and kind.dtype == "float32":
            floats = rng.random(math.prod(kind.shape), dtype=np.float32)
            return tf.train.Feature(float_list=tf.train.FloatList(value=floats))
        if isinstance(kind, JpegFeature | MaskFeature | TextFeature | RawFeature):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=self._bytes(kind, rng, index)))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=self._integers(kind, rng, index)))

    def _length(self, kind: IntsFeature | FloatsFeature, rng: np.random.Generator, index: int) -> int:
        """The length of a list; that of another feature is drawn with the other's own numbers."""
        if kind.length_range is not None:
            return _between(rng, kind.length_range)
        name = str(kind.length)
        other = self._recipe.features[name].feature
        if not isinstance(other, IntsFeature | FloatsFeature):
            raise TypeError(f"the feature {name} has no length")
        return self._length(other, self._rng(index, name), index)

    def _bytes(
        self, kind: JpegFeature | MaskFeature | TextFeature | RawFeature, rng: np.random.Generator, index: int
    ) -> list[bytes]:
        if isinstance(kind, RawFeature):
            return [_array(kind, rng)]
        if isinstance(kind, TextFeature):
            return [_needed(self._words).line(rng, kind.words).encode()]
        photos = _needed(self._photos)
        if isinstance(kind, MaskFeature):
            return [encode_mask(photos, index, kind.size, kind.classes)]
        frames = 1 if kind.frames is None else _between(rng, kind.length_range)
        # The pictures of a record follow each other as those of a film: the numbers of two records never meet.
        numbers = range(index, index + frames * self._recipe.records, self._recipe.records)
        return [encode_image(photos, number, kind.size, group=index % 10, quality=kind.quality) for number in numbers]

    def _integers(
        self, kind: DenseFeature | IntsFeature | LabelFeature, rng: np.random.Generator, index: int
    ) -> list[int]:
        if isinstance(kind, DenseFeature):
            values = rng.integers(0, 1_000, math.prod(kind.shape))
        elif isinstance(kind, IntsFeature):
            values = rng.integers(0, kind.max, self._length(kind, rng, index))
        else:
            values = rng.integers(0, kind.classes, 1)
        return [int(value) for value in values]


def _array(kind: RawFeature, rng: np.random.Generator) -> bytes:
    import tensorflow as tf

    array = _values(kind, rng)
    return bytes(tf.io.serialize_tensor(array).numpy()) if kind.serialized else array.tobytes()


def _values(kind: RawFeature, rng: np.random.Generator) -> NDArray[Any]:
    """Little-endian: floats in [0, 1), integers below their limit."""
    dtype = np.dtype(kind.dtype).newbyteorder("<")
    if dtype.kind == "f":
        below_one = np.nextafter(np.dtype(kind.dtype).type(1), np.dtype(kind.dtype).type(0))
        floats: NDArray[Any] = np.minimum(rng.random(kind.shape).astype(dtype), below_one).astype(dtype)
        return floats
    limit = 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
    largest = min(limit, _LARGEST_RANDOM_INTEGER if kind.max is None else kind.max - 1)
    whole: NDArray[Any] = np.asarray(rng.integers(0, largest, kind.shape, dtype=np.int64, endpoint=True)).astype(dtype)
    return whole


def _between(rng: np.random.Generator, span: list[int]) -> int:
    """A number from the first to the last of ``span``."""
    return int(rng.integers(span[0], span[1], endpoint=True))


def _needed(prepared: _T | None) -> _T:
    if prepared is None:
        raise RuntimeError("nothing was prepared for a feature of this kind")
    return prepared
