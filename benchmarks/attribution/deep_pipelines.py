"""Pipelines as large code bases have them, many stages deep: what `deep_cases.py` profiles.

``mixture``: four sources of text, each parsed, cleaned, tokenised and cut into chunks by ten stages of its own; sampled
from in turn, packed in windows, padded: more than fifty stages. ``trajectories``: records parsed, cut into their steps
by ``from_tensor_slices`` inside a ``flat_map``, noise added to each, shuffled. The truth is a plain loop: what a batch
takes less of CPU time where a function does nothing and gives as many elements of the same size, and what it takes more
with one more stage that does nothing, because the first one still calls its function and makes its results. The loops
take turns, so that a machine that gets slower slows down all of them, and begin when TensorFlow has tuned the parallel
calls: before that a mixture takes a seventh to a quarter less CPU time. The truth goes to the file that
BENCHMARK_TRUTH names.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plain_loop
import tensorflow as tf

DATASET = tf.data.Dataset
ROUNDS, ROUND_SECONDS, WARM_SECONDS = 5, 0.8, 2.0
CHUNK, VOCABULARY = 128, 5000
STEPS, SIDE = 150, 64


def texts(seed: int, number: int) -> list[str]:
    """Random texts of 50 to 900 words."""
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(random.choice(letters, random.integers(2, 10))) for _ in range(VOCABULARY)]
    return [
        " ".join(words[index] for index in random.integers(0, VOCABULARY, random.integers(50, 900)))
        for _ in range(number)
    ]


def with_length(text: str) -> tuple[str, int]:
    """A text with its number of words."""
    return text, text.count(" ") + 1


def letters_to_ids(record: dict[str, Any]) -> dict[str, Any]:
    """One number for each word, made of its letters and of marks around its vowels and after the others.

    Costly enough to lead every other function of the mixture by far, on any machine.
    """
    marked = tf.strings.regex_replace(tf.strings.lower(record["text"]), "([aeiou])", r"<\1>")
    marked = tf.strings.regex_replace(marked, "([b-df-hj-np-tv-z])", r"\1.")
    words = tf.strings.bytes_split(tf.strings.split(marked))
    hashed = tf.cast(tf.strings.to_hash_bucket_fast(words.flat_values, 256), tf.int32)
    numbers = tf.RaggedTensor.from_row_splits(hashed, words.row_splits, validate=False)
    return {"tokens": tf.math.floormod(tf.reduce_sum(numbers * 31, axis=1), 32_000)}


def as_many_ids(record: dict[str, Any]) -> dict[str, Any]:
    """As many numbers that cost nothing."""
    return {"tokens": tf.range(record["words"])}


def chunks(record: dict[str, Any]) -> Any:
    """Rows of equal length."""
    tokens = record["tokens"]
    rows = (tf.size(tokens) + CHUNK - 1) // CHUNK
    padded = tf.pad(tokens, [[0, rows * CHUNK - tf.size(tokens)]])
    return DATASET.from_tensor_slices({"tokens": tf.reshape(padded, [rows, CHUNK])})


def unchanged(element: dict[str, Any]) -> dict[str, Any]:
    """What it is given: the stage costs the calls alone."""
    return element


def text_source(number: int, cheap: str | None, *, idle: bool) -> Any:
    """One source of the mixture: twelve stages, and one that does nothing."""
    tokenize = as_many_ids if cheap == "tokenize" else letters_to_ids
    calls = tf.data.AUTOTUNE if number % 2 else None
    records = (
        DATASET.from_tensor_slices(tuple(map(list, zip(*map(with_length, texts(number, 300)), strict=True))))
        .map(lambda text, words: {"text": text, "words": words}, name=f"rekey_{number}")
        .map(lambda record: record | {"text": tf.strings.lower(record["text"])}, name=f"lower_{number}")
        .filter(lambda record: tf.strings.length(record["text"]) > 10, name=f"filled_{number}")
    )
    if idle:
        records = records.map(unchanged, num_parallel_calls=calls)
    return (
        records.map(tokenize, num_parallel_calls=calls, name=f"tokenize_{number}")
        .map(lambda record: {"tokens": tf.concat([record["tokens"], [1]], 0)}, name=f"end_{number}")
        .flat_map(chunks, name=f"chunk_{number}")
        .filter(lambda record: tf.math.count_nonzero(record["tokens"]) > 8, name=f"long_{number}")
        .map(lambda record: {"targets": record["tokens"]}, name=f"rename_{number}")
        .map(lambda record: record | {"inputs": tf.concat([[0], record["targets"][:-1]], 0)}, name=f"shift_{number}")
        .map(
            lambda record: record | {"n": tf.math.count_nonzero(record["targets"], dtype=tf.int32)},
            name=f"count_{number}",
        )
        .shuffle(200, name=f"shuffle_{number}")
        .repeat(name=f"repeat_{number}")
    )


def packed(window: dict[str, Any]) -> dict[str, Any]:
    """Two rows without their padding in one."""
    keep = tf.sequence_mask(window["n"], CHUNK)
    return {name: tf.boolean_mask(window[name], keep)[: 2 * CHUNK] for name in ("targets", "inputs")}


def mixture(cheap: str | None = None, *, idle: bool = False) -> Any:
    """More than fifty stages."""
    sources = [text_source(number, cheap, idle=idle) for number in range(4)]
    return (
        DATASET.sample_from_datasets(sources, [0.4, 0.3, 0.2, 0.1], seed=1)
        .group_by_window(lambda record: tf.cast(record["n"] // 64, tf.int64), lambda _, window: window.batch(2), 2)
        .map(packed, name="pack")
        .filter(lambda record: tf.size(record["targets"]) > 4, name="packed")
        .padded_batch(16, padded_shapes={"targets": [2 * CHUNK], "inputs": [2 * CHUNK]}, name="pad")
        .map(lambda batch: batch | {"weights": tf.cast(batch["targets"] > 0, tf.float32)}, name="weights")
        .prefetch(2)
    )


def write_records() -> str:
    """Files of trajectories, in the working folder."""
    random = np.random.default_rng(0)
    for number in range(4):
        with tf.io.TFRecordWriter(f"{number}.tfrecord") as writer:
            for _ in range(10):
                seen = random.integers(0, 255, (STEPS, SIDE, SIDE, 3), dtype=np.uint8).tobytes()
                moves = random.normal(size=STEPS * 7).astype(np.float32)
                features = {
                    "seen": tf.train.Feature(bytes_list=tf.train.BytesList(value=[seen])),
                    "moves": tf.train.Feature(float_list=tf.train.FloatList(value=moves)),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return str(Path.cwd() / "*.tfrecord")


def parsed(record: Any) -> dict[str, Any]:
    """A whole trajectory."""
    known = {"seen": tf.io.FixedLenFeature([], tf.string), "moves": tf.io.FixedLenFeature([STEPS, 7], tf.float32)}
    found = tf.io.parse_single_example(record, known)
    pixels = tf.io.decode_raw(found["seen"], tf.uint8)
    return {"seen": tf.reshape(pixels, [STEPS, SIDE, SIDE, 3]), "moves": found["moves"]}


def noisy(step: dict[str, Any]) -> dict[str, Any]:
    """Normal noise on every pixel."""
    pixels = tf.cast(step["seen"], tf.float32) / 255.0
    return {"seen": pixels + 0.01 * tf.random.normal(tf.shape(pixels)), "moves": step["moves"]}


def plain(step: dict[str, Any]) -> dict[str, Any]:
    """No noise."""
    return {"seen": tf.zeros([SIDE, SIDE, 3]), "moves": step["moves"]}


def trajectories(cheap: str | None = None, *, idle: bool = False) -> Any:
    """Steps of trajectories."""
    files = DATASET.list_files(str(Path.cwd() / "*.tfrecord")).repeat()
    steps = (
        files.interleave(tf.data.TFRecordDataset, cycle_length=4)
        .map(parsed, name="parse")
        .flat_map(DATASET.from_tensor_slices, name="steps")
    )
    if idle:
        steps = steps.map(plain)
    return (
        steps.map(plain if cheap == "noise" else noisy, name="noise").shuffle(500).batch(64).prefetch(tf.data.AUTOTUNE)
    )


PIPELINES: dict[str, tuple[Callable[..., Any], str, Callable[[], object]]] = {
    "mixture": (mixture, "tokenize", lambda: None),
    "trajectories": (trajectories, "noise", write_records),
}
"""The pipeline, its costliest stage, and what has to be there before."""


def planted() -> Any:
    """The pipeline that the environment names; its truth is written on the way.

    The plain loops have a process of their own: what their buffers leave behind looks like arrays of the pipeline.
    """
    make, _, prepare = PIPELINES[os.environ["BENCHMARK_CASE"]]
    prepare()
    subprocess.run([sys.executable, __file__], check=True)
    return make()


def measure() -> None:
    """Write the truth of the pipeline that the environment names, from plain loops."""
    make, costly, _ = PIPELINES[os.environ["BENCHMARK_CASE"]]
    variants = make(), make(cheap=costly), make(cheap=costly, idle=True)
    whole, without, idle = plain_loop.in_turn(*variants, rounds=ROUNDS, seconds=ROUND_SECONDS, warm=WARM_SECONDS)
    truth = {
        "costly": costly,
        "whole_ms": statistics.median(whole),
        "without_ms": statistics.median(without),
        "idle_ms": statistics.median(idle),
        "rounds_ms": [whole, without, idle],
    }
    plain_loop.write_truth(truth)


if __name__ == "__main__":
    measure()
