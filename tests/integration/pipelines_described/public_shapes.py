"""Input pipelines in the shapes of public code bases; files are looked for in the current folder."""

import functools
import random
from pathlib import Path

import numpy as np
import tensorflow as tf

AUTOTUNE = tf.data.AUTOTUNE
SIZE = 8
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGES = np.random.default_rng(3).integers(0, 255, (60, 6, 6, 3)).astype(np.uint8)
LABELS = np.random.default_rng(4).integers(0, 5, 60).astype(np.int64)
VOCABULARY = ("and", "more", "no", "of", "some", "them", "words")
SCHEMA = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64, -1),
}


# An image folder, and an augmentation that is a closure.


def image_folder(folder="photos", batch_size=2):
    ds = tf.keras.utils.image_dataset_from_directory(folder, image_size=(SIZE, SIZE), batch_size=batch_size, seed=3)
    augmentation = tf.keras.Sequential([tf.keras.layers.RandomFlip("horizontal", seed=1)])

    def augment(images, labels):
        return augmentation(images, training=True), labels

    return ds.map(augment).cache().prefetch(AUTOTUNE)


# A preprocessing function made by a factory: dark images become brighter, which depends on values.


def make_preprocess(factor, limit=0.5):
    def preprocess(path):
        image = tf.image.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.image.resize(image, [SIZE, SIZE]) / 255.0
        if tf.reduce_mean(image) < limit:
            image = image * factor
        return image

    return preprocess


def by_factory():
    paths = sorted(str(path) for path in Path("photos").glob("*/*.jpg"))
    ds = tf.data.Dataset.from_tensor_slices(paths).map(make_preprocess(2.0, limit=0.4), num_parallel_calls=AUTOTUNE)
    return ds.cache().repeat(2).batch(2, drop_remainder=True).prefetch(AUTOTUNE)


def by_local_closure():
    factor = 1.0 + len(tf.io.gfile.glob("photos/*/*.jpg")) / 10

    def brighten(path):
        image = tf.image.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.image.resize(image, [SIZE, SIZE]) / 255.0
        return image * factor if tf.reduce_mean(image) < 0.5 else image

    ds = tf.data.Dataset.list_files("photos/*/*.jpg", shuffle=False)
    return ds.map(brighten, num_parallel_calls=AUTOTUNE).cache().shuffle(6, seed=1).batch(2).prefetch(AUTOTUNE)


# Records in shards, parsed by a partial.


def parse_image(record, *, size, training):
    parsed = tf.io.parse_single_example(record, SCHEMA)
    image = tf.io.decode_png(parsed["image"], channels=3)
    if training and parsed["label"] > 0:
        image = tf.image.flip_left_right(image)
    image = tf.image.resize(image, [size, size])
    return image - MEAN, tf.cast(parsed["label"], tf.int32)


def sharded_images():
    files = tf.data.Dataset.list_files("records/*.tfrecord", shuffle=False)
    ds = files.interleave(
        lambda name: tf.data.TFRecordDataset(name, buffer_size=1 << 18), cycle_length=3, num_parallel_calls=AUTOTUNE
    )
    ds = ds.map(functools.partial(parse_image, size=SIZE, training=True), num_parallel_calls=AUTOTUNE)
    ds = ds.shuffle(32, seed=7).repeat(2).batch(4, drop_remainder=True)
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_optimization.map_parallelization = True
    return ds.with_options(options).prefetch(AUTOTUNE)


parse_small = functools.partial(parse_image, size=4, training=True)


def sharded_small_images():
    ds = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob("records/*.tfrecord"))).map(parse_small, AUTOTUNE)
    return ds.batch(5).prefetch(1)


# A class with methods.


class Loader:
    """Input of one split, as in detection code bases."""

    def __init__(self, pattern, batch_size, training=True):
        self.pattern = pattern
        self.batch_size = batch_size
        self.training = training

    def _parse(self, record):
        parsed = tf.io.parse_single_example(record, SCHEMA)
        image = tf.io.decode_png(parsed["image"], channels=3)
        if self.training and parsed["label"] > 1:
            image = image[::-1]
        return {"image": tf.cast(image, tf.float32) / 255.0, "label": parsed["label"]}

    @staticmethod
    def positive(row):
        if row["label"] > 1:
            return tf.reduce_mean(row["image"]) > 0.1
        return row["label"] > 0

    def __call__(self):
        files = tf.io.gfile.glob(self.pattern)
        ds = tf.data.Dataset.from_tensor_slices(sorted(files)).flat_map(tf.data.TFRecordDataset)
        ds = ds.map(self._parse, num_parallel_calls=AUTOTUNE).filter(self.positive)
        return ds.shuffle(10, seed=2).batch(self.batch_size).prefetch(2)


def loader_class(batch_size: int = 3):
    return Loader("records/*.tfrecord", batch_size)()


def loader_rows(pattern="records/*.tfrecord"):
    return tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern))).map(EVALUATION._parse).batch(2)


EVALUATION = Loader("records/*.tfrecord", 2, training=False)


def loader_evaluation():
    rows = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob("records/*.tfrecord"))).map(EVALUATION._parse)
    return rows.filter(Loader.positive).batch(2)


class Split:
    """A namespace of functions."""

    @staticmethod
    def decode(line):
        words = tf.strings.split(line)
        if tf.size(words) > 2:
            words = words[:2]
        return words

    @classmethod
    def train(cls):
        ds = tf.data.TextLineDataset("words.txt").skip(1).map(cls.decode)
        return ds.padded_batch(4, padded_shapes=[None]).prefetch(1)


# Text with a lookup table captured by a lambda.


def text_with_table():
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(list(VOCABULARY), list(range(1, len(VOCABULARY) + 1))), 0
    )
    ds = tf.data.TextLineDataset("words.txt").map(lambda line: tf.strings.split(tf.strings.lower(line)))
    ds = ds.map(lambda words: (table.lookup(words), tf.size(words)), num_parallel_calls=AUTOTUNE)
    ds = ds.filter(lambda _, count: count > 0)
    return ds.padded_batch(3, padded_shapes=([None], [])).prefetch(AUTOTUNE)


def text_with_a_learned_table():
    vectorize = tf.keras.layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    lines = tf.data.TextLineDataset("words.txt")
    vectorize.adapt(lines.batch(8))
    return lines.batch(3).map(lambda batch: (vectorize(batch)[:, :-1], vectorize(batch)[:, 1:])).cache().prefetch(1)


# A generator.


def generator_source(count=12):
    rng = np.random.default_rng(7)
    rows = rng.random((count, 3)).astype(np.float32)

    def generate():
        for index in range(count):
            yield rows[index], index % 2

    ds = tf.data.Dataset.from_generator(
        generate, output_signature=(tf.TensorSpec([3], tf.float32), tf.TensorSpec([], tf.int64))
    )
    return ds.cache().shuffle(4, seed=1).batch(4).prefetch(1)


# Records, a parse function of several statements, an interleave with a lambda.


def records_by_lambda():
    def decode(record):
        row = tf.io.parse_single_example(record, SCHEMA)
        row["image"] = tf.image.convert_image_dtype(tf.io.decode_png(row["image"], channels=3), tf.float32)
        return row["image"], tf.one_hot(row["label"], 3)

    ds = tf.data.Dataset.list_files("records/*.tfrecord", shuffle=False)
    ds = ds.interleave(
        lambda name: tf.data.TFRecordDataset(name).map(decode).filter(lambda _, label: label[0] < 1.0),
        cycle_length=2,
        block_length=2,
    )
    return ds.shuffle(8, seed=5, reshuffle_each_iteration=True).batch(3).prefetch(AUTOTUNE)


# Windows of a series.


def windows(series=None, size=5, batch_size=4):
    series = np.sin(np.arange(300, dtype=np.float32)) if series is None else series
    ds = tf.data.Dataset.from_tensor_slices(tf.expand_dims(series, -1))
    ds = ds.window(size + 1, shift=1, drop_remainder=True).flat_map(lambda part: part.batch(size + 1))
    return ds.shuffle(20, seed=1).map(lambda part: (part[:-1], part[1:])).batch(batch_size).prefetch(1)


def windows_by_keras():
    data = np.arange(250, dtype=np.float64)[::-1].copy()
    ds = tf.keras.utils.timeseries_dataset_from_array(data, data[5:], sequence_length=5, batch_size=8)
    return ds.map(lambda x, y: (tf.expand_dims(x, -1), y)).prefetch(1)


# Two datasets zipped, where one has a stage that only Python can express.


def zipped():
    images = tf.data.Dataset.list_files("photos/*/*.jpg", shuffle=False).map(make_preprocess(1.5))
    labels = tf.data.Dataset.from_tensor_slices([0, 0, 0, 1, 1, 1]).map(lambda label: tf.one_hot(label, 2))
    return tf.data.Dataset.zip((images, labels)).cache().shuffle(6, seed=2).batch(2).prefetch(AUTOTUNE)


def sampled():
    def numbers(start, keep):
        ds = tf.data.Dataset.range(start, start + 20)
        return ds.map(lambda x: tf.cast(x, tf.float32) if x % 2 == keep else tf.constant(0.0)).repeat()

    parts = [numbers(0, 0), numbers(100, 1)]
    return tf.data.Dataset.sample_from_datasets(parts, [0.3, 0.7], seed=9).take(30).batch(5).prefetch(1)


def balanced():
    ds = tf.data.Dataset.range(30).map(lambda x: (x, x % 3))
    groups = [ds.filter(lambda _, label, group=group: label == group).repeat() for group in range(3)]
    return tf.data.Dataset.sample_from_datasets(groups, seed=4).map(lambda x, _: x).take(20).batch(4)


# Arrays in memory.


def in_memory():
    ds = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).shuffle(60, seed=6)
    ds = ds.map(lambda image, label: (tf.cast(image, tf.float32) / 255.0 - MEAN, label), num_parallel_calls=2)
    return ds.batch(8).prefetch(AUTOTUNE)


# A seed of the function's own.


def seeded(seed=42):
    random.seed(seed)
    np.random.seed(seed)
    tf.random.set_seed(seed)
    order = tf.random.shuffle(tf.range(20))
    ds = tf.data.Dataset.from_tensor_slices(order.numpy().tolist()).shuffle(20).repeat(2)
    ds = ds.map(lambda x: x if x > 10 else x + 100).shuffle(5)
    return ds.batch(4).shuffle(3).prefetch(1)


def seeded_by_keras():
    tf.keras.utils.set_random_seed(5)
    offset = tf.random.uniform([]).numpy() * 0
    ds = tf.keras.utils.image_dataset_from_directory("photos", image_size=(SIZE, SIZE), batch_size=None)
    return ds.map(lambda image, label: (image + offset, label)).shuffle(4).batch(2).prefetch(1)


def seed_of_its_own():
    seed = random.SystemRandom().randint(0, 10_000)
    ds = tf.data.Dataset.range(20).shuffle(20, seed=seed)
    return ds.map(lambda x: x if x > 3 else x + 1).batch(5).map(tf.reduce_sum).prefetch(1)


# Options at the end, and a tail of cache and prefetch.


def tail():
    ds = tf.data.Dataset.range(40).map(lambda x: x * 2 if x > 5 else x)
    for count in (2, 3):
        ds = ds.repeat(count)
    ds = ds.batch(6).cache().prefetch(2)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    options.deterministic = False
    return ds.with_options(options)


def normalise(dataset, mean):
    return dataset.map(lambda batch: tf.cast(batch, tf.float32) - mean if tf.size(batch) > 2 else tf.zeros([2]))


def applied():
    ds = tf.data.Dataset.range(11).batch(3)
    return ds.apply(lambda dataset: normalise(dataset, 2.0)).unbatch().batch(2, drop_remainder=True)


def by_bucket():
    def tokens(line):
        words = tf.strings.split(line)
        if tf.size(words) > 3:
            words = words[:3]
        return words

    ds = tf.data.TextLineDataset("words.txt").map(tokens)
    ds = ds.bucket_by_sequence_length(lambda words: tf.size(words) + 0, [2, 3], [4, 3, 2])
    return ds.map(tf.strings.length).prefetch(1)
