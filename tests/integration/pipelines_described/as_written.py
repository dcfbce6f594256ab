"""Pipelines as people write them; files are looked for in the current folder."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

AUTOTUNE = tf.data.AUTOTUNE
SIZE = 32
FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64, default_value=0),
    "tags": tf.io.VarLenFeature(tf.string),
}
MEAN = tf.constant([0.485, 0.456, 0.406])
TABLE = np.random.default_rng(1).random((500, 4)).astype(np.float32)


def load(path):
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    image = tf.image.resize(image, (SIZE, SIZE))
    return (tf.cast(image, tf.float32) / 255.0 - MEAN) * 2


def label_of(path):
    return tf.strings.to_number(tf.strings.split(path, "/")[-2], tf.int32)


def parse(record):
    example = tf.io.parse_single_example(record, FEATURES)
    image = tf.io.decode_png(example["image"], channels=1)
    image = tf.image.convert_image_dtype(image, tf.float32)
    return tf.reshape(image, [8, 8, 1]), tf.one_hot(example["label"], depth=3)


def brighten(image):
    if tf.reduce_mean(image) < 0.5:
        return image * 2.0
    return image


def rows():
    for number in range(20):
        yield np.arange(number % 5 + 1, dtype=np.int64), number


def halved(array):
    return (array / 2).astype(np.float32)


def half(number):
    value = tf.numpy_function(halved, [number], tf.float32)
    return tf.ensure_shape(value, [])


def tokens(line):
    return tf.strings.split(tf.strings.lower(line))


# Those that can be told whole.


def photos():
    files = tf.data.Dataset.list_files("photos/*/*.jpg", shuffle=False)
    return files.shuffle(100, seed=1).map(load, num_parallel_calls=AUTOTUNE).batch(4).prefetch(AUTOTUNE)


def photos_and_labels():
    paths = sorted(str(path) for path in Path().glob("photos/*/*.jpg"))
    ds = tf.data.Dataset.from_tensor_slices(paths)
    ds = ds.map(lambda path: (load(path), label_of(path)), num_parallel_calls=2, deterministic=False)
    return ds.cache().repeat(2).batch(4, drop_remainder=True)


def photos_zipped():
    paths = sorted(tf.io.gfile.glob("photos/*/*.jpg"))
    images = tf.data.Dataset.from_tensor_slices(paths).map(load)
    labels = tf.data.Dataset.from_tensor_slices([0, 0, 0, 1, 1, 1])
    return tf.data.Dataset.zip((images, labels)).shuffle(6).batch(2)


def records_interleaved():
    files = tf.data.Dataset.list_files("records/*.tfrecord", seed=5)
    ds = files.interleave(tf.data.TFRecordDataset, cycle_length=2, num_parallel_calls=AUTOTUNE, deterministic=False)
    return ds.map(parse, AUTOTUNE).shuffle(50, reshuffle_each_iteration=False).batch(8).prefetch(2)


def records_listed():
    files = tf.io.gfile.glob("records/*.tfrecord")
    ds = tf.data.TFRecordDataset(sorted(files), num_parallel_reads=2, buffer_size=1 << 16)
    options = tf.data.Options()
    options.deterministic = False
    options.threading.private_threadpool_size = 2
    return ds.map(parse).batch(8).with_options(options)


def records_nested():
    files = tf.data.Dataset.list_files("records/*.tfrecord", shuffle=False).repeat()
    return files.interleave(lambda file: tf.data.TFRecordDataset(file).map(parse).take(3), cycle_length=2).batch(4)


def text():
    ds = tf.data.TextLineDataset("words.txt").skip(1).filter(lambda line: tf.strings.length(line) > 3)
    return ds.map(tokens).padded_batch(4, padded_shapes=[None], padding_values="<pad>")


def lengths():
    ds = tf.data.TextLineDataset(["words.txt"]).map(lambda line: (line, tf.strings.length(line)))
    return ds.filter(lambda _line, length: length % 2 == 0).take(10).enumerate(start=5)


def table():
    defaults = [tf.float32, tf.int32, tf.constant([""])]
    ds = tf.data.experimental.CsvDataset("table.csv", defaults, header=True)
    return ds.map(lambda x, y, word: {"x": tf.stack([x, tf.cast(y, tf.float32)]), "word": word}).batch(3)


def mappings():
    ds = tf.data.Dataset.from_tensor_slices({"x": [1.0, 2.0, 3.0], "y": [1, 2, 3], "id": ["a", "b", "c"]})
    ds = ds.map(lambda row: {**row, "x": row["x"] * 10.0})
    ds = ds.map(lambda row: (row["x"], row["y"]), name="pair")
    return ds.batch(2)


def windows():
    ds = tf.data.Dataset.range(40).window(6, shift=2, drop_remainder=True).flat_map(lambda part: part.batch(6))
    return ds.map(lambda part: (part[:-1], part[-1:])).shuffle(10, seed=2).batch(4).prefetch(1)


def pairs_of_windows():
    ds = tf.data.Dataset.range(10).map(lambda number: (number, number + 1)).window(3)
    return ds.flat_map(lambda a, b: tf.data.Dataset.zip((a.batch(3), b.batch(3)))).unbatch()


def mixed():
    small = tf.data.Dataset.range(10).repeat()
    large = tf.data.Dataset.range(100, 200, 2).shuffle(20, seed=4)
    both = tf.data.Dataset.sample_from_datasets([small, large], weights=[0.25, 0.75], seed=7)
    return both.concatenate(tf.data.Dataset.range(3)).batch(5)


def from_a_generator():
    signature = (tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.int32))
    ds = tf.data.Dataset.from_generator(rows, output_signature=signature)
    return ds.padded_batch(4, padded_shapes=([5], []), drop_remainder=True)


def grouped():
    ds = tf.data.Dataset.range(30)
    return ds.group_by_window(lambda number: number % 3, lambda _key, window: window.batch(4), window_size=4)


def random_numbers():
    tf.random.set_seed(3)
    ds = tf.data.Dataset.from_tensor_slices(np.zeros((20, 4, 4, 1), np.float32))
    ds = ds.map(lambda image: tf.image.random_flip_left_right(image, seed=5))
    return ds.map(lambda image: image + tf.random.uniform([tf.shape(image)[0], 1, 1], 0, 0.1, seed=1)).batch(4)


def sharded():
    ds = tf.data.Dataset.range(100).shard(4, 1)
    return ds.apply(tf.data.experimental.assert_cardinality(25)).batch(5).snapshot("kept", compression="GZIP")


def flipped():
    def augment(image):
        return tf.cond(tf.random.uniform([], seed=1) < 0.5, lambda: tf.image.flip_left_right(image), lambda: image)

    ds = tf.data.Dataset.from_tensor_slices(np.zeros((20, 4, 4, 1), np.float32)).map(augment)
    return ds.enumerate().map(
        lambda index, image: tf.switch_case(
            tf.cast(index % 2, tf.int32), [lambda: image + 1.0, lambda: image * tf.cast(index, tf.float32)]
        )
    )


def by_index():
    names = tf.constant(sorted(tf.io.gfile.glob("photos/*/*.jpg")))
    return tf.data.Dataset.range(6).map(lambda index: tf.io.read_file(names[index % 6])).window(3)


def from_a_folder():
    return tf.keras.utils.image_dataset_from_directory("photos", image_size=(16, 16), batch_size=2)


def looked_up():
    keys = tf.constant(["and", "more", "no", "some"])
    initializer = tf.lookup.KeyValueTensorInitializer(keys, tf.range(4, dtype=tf.int64))
    numbers = tf.lookup.StaticVocabularyTable(initializer, num_oov_buckets=2)
    ds = tf.data.TextLineDataset("words.txt").map(tokens).map(numbers.lookup)
    return ds.bucket_by_sequence_length(lambda words: tf.shape(words)[0], [2, 4], [4, 2, 1])


def layered():
    scale = tf.keras.layers.Rescaling(1.0 / 255, offset=-1)
    flip = tf.keras.layers.RandomFlip("horizontal", seed=3)
    paths = sorted(tf.io.gfile.glob("photos/*/*.jpg"))
    ds = tf.data.Dataset.from_tensor_slices(paths).map(load).batch(2)
    return ds.map(lambda images: flip(scale(images), training=True), num_parallel_calls=AUTOTUNE)


def layered_model():
    augment = tf.keras.Sequential([tf.keras.layers.Rescaling(1.0 / 255), tf.keras.layers.RandomFlip("horizontal")])
    images = np.zeros((6, 8, 8, 3), np.uint8)
    ds = tf.data.Dataset.from_tensor_slices((images, [0, 1, 2, 3, 4, 5]))
    return ds.map(lambda image, label: (augment(image, training=True), label)).batch(2)


def columns(line):
    x, y, word = tf.io.decode_csv(line, [[0.0], [0], [""]])
    return tf.stack([x, tf.cast(y, tf.float32)]), word


def lines_of_a_table():
    return tf.data.TextLineDataset("table.csv").skip(1).map(columns).batch(3)


# Those with parts in Python.


def with_a_branch():
    ds = tf.data.Dataset.range(10).map(lambda number: tf.cast(number, tf.float32) / 10)
    return ds.map(brighten, num_parallel_calls=2).batch(2)


def with_numpy():
    return tf.data.Dataset.range(10).map(half).batch(2)


def with_a_call():
    ds = tf.data.Dataset.range(10).map(lambda number: (tf.cast(number, tf.float32), number))
    return ds.map(lambda x, number: (brighten(x), number + 1)).batch(2)


def base():
    return tf.data.Dataset.range(10).map(lambda number: number + 1 if number > 3 else number)


def after_a_function():
    return base().shuffle(10).batch(2)


def changed(dataset):
    return dataset.map(lambda number: number + 1 if number > 3 else number)


def around_a_function():
    return changed(tf.data.Dataset.range(10)).batch(2)


def in_python():
    return tf.data.Dataset.range(10).map(lambda number: number + 1 if number > 3 else number).batch(2)


def local_generator():
    def numbers():
        yield from range(3)

    return tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int32)).batch(2)


def arrays():
    return tf.data.Dataset.from_tensor_slices((TABLE, np.arange(500)[::-1])).shuffle(500).batch(32)


def with_step():
    return tf.data.Dataset.range(10).batch(2), print


def given(batch_size: int, *, shuffled: bool = True):
    ds = tf.data.Dataset.range(10)
    return (ds.shuffle(10) if shuffled else ds).batch(batch_size)


def given_in_python(batch_size: int):
    return base().batch(batch_size).map(lambda batch: batch + 1 if batch[0] > 3 else batch)


# The same, whole and partly, where it is easy to get something slightly different.


class Pair(NamedTuple):
    first: tf.Tensor
    second: tf.Tensor


class Rows:
    def __call__(self):
        yield from range(5)


def shaped(number):
    value = tf.numpy_function(halved, [number], tf.float32)
    value.set_shape([])
    return value


def shuffled():
    return tf.data.Dataset.range(10).shuffle(10, seed=1)


def numbers_first():
    ds = tf.data.Dataset.range(1, 9).map(lambda x: (2 - x, 1 + x, 17 // x))
    return ds.map(lambda a, b, c: 3.0 - 1 / tf.cast(a * b + c, tf.float64)).batch(2)


def measured():
    return tf.data.TextLineDataset("words.txt").map(tokens).bucket_by_sequence_length(tf.size, [2, 4], [4, 3, 2])


def same_order_twice():
    ds = tf.data.Dataset.range(10).shuffle(10, seed=1, reshuffle_each_iteration=False)
    return ds.skip(3).concatenate(ds.take(3))


def cached_and_kept():
    return tf.data.Dataset.range(9).cache("numbers").map(lambda x: x + 1).snapshot("numbers_kept")


def seeded():
    tf.random.set_seed(4)
    return tf.data.Dataset.range(9).shuffle(9).map(lambda x: tf.cast(x, tf.float32) + tf.random.uniform([])).batch(2)


def shape_set():
    return tf.data.Dataset.range(7).shuffle(7, seed=1).map(shaped).batch(2).prefetch(2)


def used_twice():
    ds = tf.data.Dataset.range(10).shuffle(10, seed=1)
    return tf.data.Dataset.zip((ds.skip(3), ds.take(3)))


def cached_twice():
    ds = tf.data.Dataset.range(10).cache()
    return tf.data.Dataset.zip((ds, ds.skip(1)))


def called_twice():
    ds = shuffled()
    return ds.skip(3).concatenate(ds.take(3)).batch(2)


def with_names():
    return tf.data.Dataset.range(4).map(lambda x: Pair(x, x + 1)).batch(2)


def by_an_object():
    return tf.data.Dataset.from_generator(Rows(), output_signature=tf.TensorSpec([], tf.int64)).batch(2)


def of_ragged():
    return tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1, 2], [], [3]]))


def class_of_name():
    ds = tf.data.Dataset.list_files("photos/*/*.jpg", shuffle=False)
    return ds.map(lambda path: tf.strings.to_number(tf.strings.split(path, "/")[1], tf.int32))


def on_a_device():
    ds = tf.data.Dataset.range(9).batch(3)
    return ds.apply(tf.data.experimental.prefetch_to_device("/cpu:0"))


def unchanged():
    ds = tf.data.Dataset.zip((tf.data.Dataset.range(4), tf.data.Dataset.range(4))).map(lambda a, b: (a, b))
    return ds.map(lambda a, b: {"a": a, "b": b}).map(lambda pair: pair).batch(2)


def rooted(example):
    example["label"] = tf.abs(example["label"])
    return example


def changing_what_it_was_given():
    def change(record):
        example = tf.io.parse_single_example(record, FEATURES)
        example["tags"] = tf.sparse.to_dense(example["tags"])
        example = rooted(example)
        del example["image"]
        return example

    return tf.data.TFRecordDataset(["records/0.tfrecord"]).map(change).padded_batch(2)


def changing_its_element():
    def change(row):
        row["x"] = row["x"] + 1
        row["z"] = row.pop("y")
        return row

    return tf.data.Dataset.from_tensor_slices({"x": [1, 2, 3], "y": [4, 5, 6]}).map(change).batch(2)


def with_lists():
    return tf.data.Dataset.range(4).map(lambda x: {"both": [x, x + 1], "fixed": ([1, 2], x)}).batch(2)


def seeded_in_python():
    tf.random.set_seed(4)
    return tf.data.Dataset.range(9).shuffle(9).map(lambda x: x if x > 3 else x + 1).batch(2)


@tf.function
def scaled(x, by=2.0):
    return tf.cast(x, tf.float32) * by


@tf.function
def brightened(image):
    return brighten(image)


def decorated():
    """The second map takes a function that was traced before."""
    dataset = tf.data.Dataset.range(6).map(scaled)
    return tf.data.Dataset.zip((dataset, tf.data.Dataset.range(6).map(scaled))).batch(2)


def decorated_inside():
    return tf.data.Dataset.range(6).map(lambda x: {"one": scaled(x), "three": scaled(x, by=3.0) + 1.0}).batch(2)


def decorated_branch():
    return tf.data.Dataset.range(6).map(lambda x: tf.ones([4]) * tf.cast(x, tf.float32)).map(brightened).batch(2)


def of_tensorflow_1():
    dataset = tf.compat.v1.data.Dataset.list_files("records/*.tfrecord", shuffle=False)
    dataset = dataset.interleave(tf.compat.v1.data.TFRecordDataset, cycle_length=2)
    dataset = dataset.map(lambda record: tf.compat.v1.to_int32(tf.strings.length(record)), num_parallel_calls=2)
    return dataset.apply(tf.data.experimental.ignore_errors()).shuffle(5, seed=1).batch(2).prefetch(1)
