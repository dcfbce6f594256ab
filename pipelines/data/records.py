"""Writes shards of ``tf.train.Example``. Runs in the making process, with TensorFlow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeprof.pipelines.data.make import Progress
from pipeprof.pipelines.data.photos import PhotoMaker, encode_image, run_in_threads
from pipeprof.pipelines.data.recipes import Feature, TFRecord, length_range
from pipeprof.pipelines.data.tables import ZipfWords

_VOCABULARY = 5_000
_LARGEST_RANDOM_INTEGER = 999


def make_tfrecord(recipe: TFRecord, folder: Path, progress: Progress) -> None:
    """Write all shards of ``recipe`` into ``folder``; counts one record at a time as progress."""
    import tensorflow as tf

    maker = _RecordMaker(recipe)
    names = recipe.file_names()
    options = tf.io.TFRecordOptions(compression_type=recipe.compression_type or "")

    def write(shard: int) -> None:
        with tf.io.TFRecordWriter(str(folder / names[shard]), options) as writer:
            for record in range(shard, recipe.records, recipe.shards):
                writer.write(maker.record(record))
                progress.advance()

    run_in_threads(write, range(recipe.shards))


class _RecordMaker:
    """Makes the records of one recipe, in any order."""

    def __init__(self, recipe: TFRecord) -> None:
        kinds = {
            kind for feature in (*recipe.features.values(), *(recipe.sequences or {}).values()) for kind in feature
        }
        self._recipe = recipe
        if "jpeg" in kinds:
            self._photos = PhotoMaker(recipe.seed)
        if "text" in kinds:
            self._words = ZipfWords(_VOCABULARY, recipe.seed)

    def record(self, index: int) -> bytes:
        """Record number ``index``, whichever thread makes it."""
        import tensorflow as tf

        features = tf.train.Features(
            feature={
                name: self._feature(feature, self._rng(index, name), index)
                for name, feature in self._recipe.features.items()
            }
        )
        if self._recipe.sequences is None:
            return bytes(tf.train.Example(features=features).SerializeToString(deterministic=True))
        lists = tf.train.FeatureLists(feature_list=self._sequences(self._recipe.sequences, index))
        example = tf.train.SequenceExample(context=features, feature_lists=lists)
        return bytes(example.SerializeToString(deterministic=True))

    def _rng(self, index: int, name: str) -> np.random.Generator:
        """The random numbers of one feature of one record."""
        return np.random.default_rng([self._recipe.seed, 3, index, list(self._recipe.features).index(name)])

    def _sequences(self, features: dict[str, Feature], index: int) -> dict[str, Any]:
        import tensorflow as tf

        steps = _between(np.random.default_rng([self._recipe.seed, 8, index]), self._recipe.steps)
        lists = {}
        for place, (name, feature) in enumerate(features.items()):
            rng = np.random.default_rng([self._recipe.seed, 9, index, place])
            lists[name] = tf.train.FeatureList(feature=[self._feature(feature, rng, index) for _ in range(steps)])
        return lists

    def _feature(self, feature: Feature, rng: np.random.Generator, index: int) -> Any:
        import tensorflow as tf

        values = self._values(feature, rng, index)
        if isinstance(values, list):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if values.dtype.kind == "f":
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.tolist()))

    def _values(self, feature: Feature, rng: np.random.Generator, index: int) -> NDArray[Any] | list[bytes]:
        ((kind, settings),) = feature.items()
        if kind == "jpeg":
            frames = 1 if settings["frames"] is None else _between(rng, length_range(settings["frames"]))
            # The pictures of a record follow each other as those of a film: the numbers of two records never meet.
            numbers = range(index, index + frames * self._recipe.records, self._recipe.records)
            size, quality = settings["size"], settings["quality"]
            return [encode_image(self._photos, n, size, group=index % 10, quality=quality) for n in numbers]
        if kind == "text":
            return [self._words.line(rng, settings["words"]).encode()]
        if kind == "raw":
            return [_raw(settings, rng)]
        if kind == "label":
            return rng.integers(0, settings["classes"], 1)
        count = math.prod(settings["shape"]) if kind == "dense" else self._length(settings["length"], rng, index)
        if kind == "floats" or settings.get("dtype") == "float32":
            return rng.random(count, dtype=np.float32)
        return rng.integers(0, settings.get("max", 1_000), count)

    def _length(self, length: int | list[int] | str, rng: np.random.Generator, index: int) -> int:
        """The length of a list; that of another feature is drawn with the other's own numbers."""
        if not isinstance(length, str):
            return _between(rng, length_range(length))
        ((_, other),) = self._recipe.features[length].items()
        return self._length(other["length"], self._rng(index, length), index)


def _raw(settings: dict[str, Any], rng: np.random.Generator) -> bytes:
    """Little-endian: floats in [0, 1), integers below their limit."""
    import tensorflow as tf

    dtype, shape = np.dtype(settings["dtype"]).newbyteorder("<"), settings["shape"]
    if dtype.kind == "f":
        below_one = np.nextafter(dtype.type(1), dtype.type(0))
        array = np.minimum(rng.random(shape).astype(dtype), below_one).astype(dtype)
    else:
        limit = 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
        largest = min(limit, _LARGEST_RANDOM_INTEGER if settings["max"] is None else settings["max"] - 1)
        array = np.asarray(rng.integers(0, largest, shape, dtype=np.int64, endpoint=True)).astype(dtype)
    return bytes(tf.io.serialize_tensor(array).numpy()) if settings["serialized"] else array.tobytes()


def _between(rng: np.random.Generator, span: list[int]) -> int:
    """A number from the first to the last of ``span``."""
    return int(rng.integers(span[0], span[1], endpoint=True))
