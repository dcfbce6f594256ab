"""Pipelines of text, trajectories, sounds and windows; inputs are those of data.py, below the current folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

AUTOTUNE = tf.data.AUTOTUNE


def mixed(corpus: Callable[[str], tf.data.Dataset]) -> tf.data.Dataset:
    """Batches of three corpora."""
    corpora = [corpus("news"), corpus("wiki"), corpus("chat")]
    sampled = tf.data.Dataset.sample_from_datasets(corpora, [0.5, 0.3, 0.2], seed=4)
    return sampled.batch(32, drop_remainder=True).prefetch(AUTOTUNE)


def text_mixture() -> tf.data.Dataset:
    """Three corpora tokenised, filtered, cut into chunks and mixed: pretraining of a language model."""

    def normalize(line: tf.Tensor) -> tf.Tensor:
        return tf.strings.regex_replace(tf.strings.lower(line), r"[^a-z ]+|  +", " ")

    def tokenize(line: tf.Tensor) -> tf.Tensor:
        return tf.strings.unicode_decode(line, "UTF-8")

    def long_enough(tokens: tf.Tensor) -> tf.Tensor:
        return tf.size(tokens) > 4

    def chunk(tokens: tf.Tensor) -> tf.data.Dataset:
        padded = tf.pad(tokens, [[0, -tf.size(tokens) % 64]])
        return tf.data.Dataset.from_tensor_slices(tf.reshape(padded, [-1, 64]))

    def corpus(name: str) -> tf.data.Dataset:
        lines = tf.data.TextLineDataset(f"data/texts/{name}.txt").repeat()
        characters = lines.map(normalize, num_parallel_calls=AUTOTUNE).map(tokenize, num_parallel_calls=AUTOTUNE)
        return characters.filter(long_enough).flat_map(chunk).shuffle(200)

    return mixed(corpus)


def text_mixture_batched() -> tf.data.Dataset:
    """The same with 64 lines at once in every function."""

    def normalize(lines: tf.Tensor) -> tf.Tensor:
        return tf.strings.regex_replace(tf.strings.lower(lines), r"[^a-z ]+|  +", " ")

    def chunk(lines: tf.Tensor) -> tf.Tensor:
        tokens = tf.strings.unicode_decode(lines, "UTF-8")
        tokens = tf.ragged.boolean_mask(tokens, tokens.row_lengths() > 4)
        padded = tokens.to_tensor()
        padded = tf.pad(padded, [[0, 0], [0, -tf.shape(padded)[1] % 64]])
        chunks = -(-tokens.row_lengths() // 64)
        kept = tf.sequence_mask(chunks, tf.shape(padded)[1] // 64)
        return tf.boolean_mask(tf.reshape(padded, [-1, 64]), tf.reshape(kept, [-1]))

    def corpus(name: str) -> tf.data.Dataset:
        lines = tf.data.TextLineDataset(f"data/texts/{name}.txt").repeat().batch(64)
        chunks = lines.map(normalize, num_parallel_calls=AUTOTUNE).map(chunk, num_parallel_calls=AUTOTUNE)
        return chunks.unbatch().shuffle(200)

    return mixed(corpus)


def vocabulary() -> tf.lookup.StaticVocabularyTable:
    """Numbers of thirty words."""
    words = tf.constant([f"{first}{last}" for first in ("ab", "con", "de", "in", "re", "trans") for last in "aeiou"])
    initializer = tf.lookup.KeyValueTensorInitializer(words, tf.range(30, dtype=tf.int64))
    return tf.lookup.StaticVocabularyTable(initializer, num_oov_buckets=1)


def sentences() -> tf.data.Dataset:
    """Sentences and their translations."""
    return tf.data.Dataset.zip(
        tuple(tf.data.TextLineDataset(f"data/texts/{side}.txt") for side in ("source", "target"))
    )


def translation() -> tf.data.Dataset:
    """Pairs of sentences as ids in buckets of similar length: a translation model."""
    table = vocabulary()

    def encode(source: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return table.lookup(tf.strings.split(source)), table.lookup(tf.strings.split(target))

    def short_enough(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        return tf.maximum(tf.size(source), tf.size(target)) <= 50

    def length(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        return tf.maximum(tf.size(source), tf.size(target))

    encoded = sentences().map(encode, num_parallel_calls=AUTOTUNE).filter(short_enough).shuffle(2000).repeat()
    return encoded.bucket_by_sequence_length(
        length, bucket_boundaries=[10, 20, 30, 40], bucket_batch_sizes=[64, 48, 32, 24, 16]
    ).prefetch(AUTOTUNE)


def translation_batched() -> tf.data.Dataset:
    """The same with lines in buckets, by the number of their words, and encoded a batch at once."""
    table = vocabulary()

    def count(lines: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.strings.split(lines).row_lengths(), tf.int32)

    def counted(source: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return source, target, tf.maximum(count(source), count(target))

    def encode(source: tf.Tensor, target: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (table.lookup(tf.strings.split(source)).to_tensor(), table.lookup(tf.strings.split(target)).to_tensor())

    lines = sentences().batch(256).map(counted, num_parallel_calls=AUTOTUNE).unbatch()
    lines = lines.filter(lambda _source, _target, length: length <= 50).shuffle(2000).repeat()
    buckets = lines.bucket_by_sequence_length(
        lambda _source, _target, length: length,
        bucket_boundaries=[10, 20, 30, 40],
        bucket_batch_sizes=[64, 48, 32, 24, 16],
    )
    return buckets.map(encode, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


STEP = {
    "states": tf.io.FixedLenSequenceFeature([64], tf.float32, allow_missing=True),
    "actions": tf.io.FixedLenSequenceFeature([8], tf.float32, allow_missing=True),
}


def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
    """An episode."""
    return tf.io.parse_single_example(record, STEP)


def trajectories() -> tf.data.Dataset:
    """Episodes parsed and cut into steps, with noise, shuffled: learning from demonstrations."""

    def add_noise(step: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**step, "states": step["states"] + tf.random.normal([64], stddev=0.01)}

    records = tf.data.TFRecordDataset("data/episodes/episodes.tfrecord").repeat()
    steps = records.map(parse, num_parallel_calls=AUTOTUNE).flat_map(tf.data.Dataset.from_tensor_slices)
    return steps.map(add_noise, num_parallel_calls=AUTOTUNE).shuffle(2000).batch(256).prefetch(AUTOTUNE)


def trajectories_batched() -> tf.data.Dataset:
    """The same with noise for a whole batch at once."""

    def add_noise(steps: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**steps, "states": steps["states"] + tf.random.normal(tf.shape(steps["states"]), stddev=0.01)}

    records = tf.data.TFRecordDataset("data/episodes/episodes.tfrecord").repeat()
    steps = records.map(parse, num_parallel_calls=AUTOTUNE).flat_map(tf.data.Dataset.from_tensor_slices)
    return steps.shuffle(2000).batch(256).map(add_noise, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def windows() -> tf.data.Dataset:
    """Sliding windows over a series: the forecasting tutorial."""
    series = np.sin(np.arange(200_000, dtype=np.float32) / 50)

    def as_batch(window: tf.data.Dataset) -> tf.data.Dataset:
        return window.batch(33, drop_remainder=True)

    def split(window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return window[:-1], window[-1:]

    dataset = tf.data.Dataset.from_tensor_slices(series).repeat().window(33, shift=1, drop_remainder=True)
    return dataset.flat_map(as_batch).shuffle(1000).map(split).batch(128).prefetch(1)


def windows_indexed() -> tf.data.Dataset:
    """The same windows gathered from the series by their indices, a batch at once."""
    series = tf.constant(np.sin(np.arange(200_000, dtype=np.float32) / 50))

    def gather(starts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        window = tf.gather(series, starts[:, None] + tf.range(33, dtype=tf.int64))
        return window[:, :-1], window[:, -1:]

    return tf.data.Dataset.range(200_000 - 32).shuffle(1000).repeat().batch(128).map(gather).prefetch(1)


def spectrograms(files: tf.data.Dataset) -> tf.data.Dataset:
    """Logarithms of mel spectra."""
    mel = tf.signal.linear_to_mel_weight_matrix(40, 257, 16_000)

    def load(path: tf.Tensor) -> tf.Tensor:
        wave, _ = tf.audio.decode_wav(tf.io.read_file(path), desired_channels=1, desired_samples=16_000)
        return tf.squeeze(wave, -1)

    def spectrogram(wave: tf.Tensor) -> tf.Tensor:
        spectrum = tf.abs(tf.signal.stft(wave, frame_length=400, frame_step=160, fft_length=512))
        return tf.math.log(tf.matmul(spectrum, mel) + 1e-6)

    return files.map(load, num_parallel_calls=AUTOTUNE).map(spectrogram, num_parallel_calls=AUTOTUNE)


def speech() -> tf.data.Dataset:
    """Sounds in files as spectrograms: recognition of short commands."""
    files = tf.data.Dataset.list_files("data/sounds/*.wav", seed=2).repeat()
    return spectrograms(files).batch(16, drop_remainder=True).prefetch(AUTOTUNE)


def speech_cached() -> tf.data.Dataset:
    """The same with every spectrogram computed once: nothing in it is random, and 16 KB are kept for each file."""
    files = tf.data.Dataset.list_files("data/sounds/*.wav", shuffle=False)
    shuffled = spectrograms(files).cache().shuffle(200, seed=2).repeat()
    return shuffled.batch(16, drop_remainder=True).prefetch(AUTOTUNE)
