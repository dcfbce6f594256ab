"""Pipelines whose work is to be shared among workers, and four for which that cannot help."""

import numpy as np
import tensorflow as tf

IMAGES = 64
ROWS = 128


def _numbers():
    """Numbers in files of a hundred, as it were: workers share the files, one request each."""
    files = tf.data.Dataset.range(10_000)
    return files.flat_map(lambda number: tf.data.Dataset.range(100 * number, 100 * number + 100)).repeat()


def _again(rows):
    """The same rows as in many files."""
    return tf.data.Dataset.range(10_000).flat_map(lambda _: tf.data.Dataset.from_tensor_slices(rows)).repeat()


def matmul():
    """Products of matrices: next to nothing is sent."""

    def product(number):
        matrix = tf.random.stateless_uniform([160, 160], seed=[1, tf.cast(number, tf.int32)])
        for _ in range(12):
            matrix = tf.linalg.matmul(matrix, matrix) / 100.0
        return tf.reduce_sum(matrix, axis=0)

    return _numbers().map(product, num_parallel_calls=tf.data.AUTOTUNE).batch(8)


def spectra():
    """Fourier transforms of a signal."""

    def transformed(number):
        signal = tf.random.stateless_uniform([16_384], seed=[2, tf.cast(number, tf.int32)])
        return tf.abs(tf.signal.stft(signal, 512, 128))[:64]

    return _numbers().map(transformed, num_parallel_calls=tf.data.AUTOTUNE).batch(16)


def noise():
    """Images of random numbers: 3.5 MB a batch."""

    def image(number):
        return tf.random.stateless_uniform([96, 96, 3], seed=[3, tf.cast(number, tf.int32)])

    return _numbers().map(image, num_parallel_calls=tf.data.AUTOTUNE).batch(32)


def _pictures(height, width):
    pixels = np.random.default_rng(4).integers(0, 256, (IMAGES, height // 8, width // 8, 3), dtype=np.uint8)
    large = tf.cast(tf.image.resize(pixels, [height, width]), tf.uint8)
    return [tf.io.encode_jpeg(picture).numpy() for picture in large]


def _decoded(size):
    def decode(picture):
        return tf.image.resize(tf.io.decode_jpeg(picture, channels=3), [size, size])

    return decode


def pictures():
    """JPEG pictures, decoded and made smaller."""
    names = _again(_pictures(240, 320))
    return names.map(_decoded(112), num_parallel_calls=tf.data.AUTOTUNE).batch(16)


def augmented():
    """Pictures with other colours in each epoch."""

    def change(picture):
        picture = tf.image.resize(tf.io.decode_jpeg(picture, channels=3), [96, 96]) / 255.0
        picture = tf.image.random_hue(tf.image.random_flip_left_right(picture), 0.1)
        return tf.image.random_contrast(picture, 0.8, 1.2)

    names = _again(_pictures(160, 160))
    return names.map(change, num_parallel_calls=tf.data.AUTOTUNE).batch(16)


def records():
    """Examples of TensorFlow, parsed one by one."""

    def example(number):
        values = tf.train.Feature(float_list=tf.train.FloatList(value=np.full(64, number, np.float32)))
        label = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
        features = tf.train.Features(feature={f"x{index}": values for index in range(16)} | {"label": label})
        return tf.train.Example(features=features).SerializeToString()

    spec = {f"x{index}": tf.io.FixedLenFeature([64], tf.float32) for index in range(16)}
    spec["label"] = tf.io.FixedLenFeature([], tf.int64)
    written = _again([example(number) for number in range(512)])
    parsed = written.map(lambda one: tf.io.parse_single_example(one, spec), num_parallel_calls=tf.data.AUTOTUNE)
    return parsed.batch(ROWS)


def texts():
    """Lines of text, cleaned and cut into words."""
    lines = [" ".join(f"Word{(7 * row + word) % 97}," for word in range(120)) for row in range(256)]

    def words(line):
        line = tf.strings.regex_replace(tf.strings.lower(line), "[^a-z0-9 ]", "")
        return tf.strings.to_hash_bucket_fast(tf.strings.split(line)[:100], 10_000)

    return _again(lines).map(words, num_parallel_calls=tf.data.AUTOTUNE).batch(64)


def sequences():
    """Sequences of different lengths, sorted and padded."""

    def made(number):
        length = 1000 + 500 * tf.cast(number % 7, tf.int32)
        values = tf.random.stateless_uniform([length], seed=[5, tf.cast(number, tf.int32)])
        return tf.cumsum(tf.sort(values))

    return _numbers().map(made, num_parallel_calls=tf.data.AUTOTUNE).padded_batch(32)


def light():
    """Little work for a long step."""
    return _numbers().map(lambda number: tf.one_hot(number % 10, 10), num_parallel_calls=tf.data.AUTOTUNE).batch(64)


def bytes_only():
    """Large batches that take next to nothing to make: sending them costs more."""
    batch = tf.zeros([16, 224, 224, 3])
    return tf.data.Dataset.from_tensors(batch).repeat().map(lambda images: images + 1.0)


def cacheable():
    """A small data set that is decoded anew in each epoch."""
    names = tf.data.Dataset.from_tensor_slices(_pictures(240, 320))
    return names.map(_decoded(64), num_parallel_calls=tf.data.AUTOTUNE).repeat().batch(16).prefetch(tf.data.AUTOTUNE)


def cheap():
    """A cast and a one-hot vector for each element, many of them in a batch, at full speed."""

    def one_hot(rows):
        return tf.one_hot(tf.cast(rows % 10, tf.int32), 10)

    return tf.data.Dataset.range(1_000_000).batch(512).map(one_hot, num_parallel_calls=tf.data.AUTOTUNE).repeat()
