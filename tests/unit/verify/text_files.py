"""Files with pipelines of texts, and the stages that a run of them has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage

TEXT = """\
import tensorflow as tf

SEED = 3
WORDS = tf.constant(["a", "bb", "ccc"])
table = tf.lookup.StaticVocabularyTable(
    tf.lookup.KeyValueTensorInitializer(WORDS, tf.range(3, dtype=tf.int64)), num_oov_buckets=1
)

def encode(a, b):
    return table.lookup(tf.strings.split(a)), tf.strings.split(b)

def short(a, b):
    return tf.maximum(tf.size(a), tf.size(b)) <= 50

def length(a, b):
    return tf.size(a)

def pairs():
    lines = tf.data.Dataset.zip((tf.data.TextLineDataset("a.txt"), tf.data.TextLineDataset("b.txt")))
    kept = lines.map(encode).filter(short).shuffle(2000, seed=SEED).repeat()
    return kept.bucket_by_sequence_length(length, [10, 20], [64, 48, 16]).prefetch(1)
"""
ROWS = """\
import tensorflow as tf

def tokenize(line):
    return tf.strings.unicode_decode(tf.strings.lower(line), "UTF-8")

def long_enough(tokens):
    return tf.size(tokens) > 4

def chunk(tokens):
    rows = tf.pad(tokens, [[0, -tf.size(tokens) % 64]])
    return tf.data.Dataset.from_tensor_slices(tf.reshape(rows, [-1, 64]))

def corpus():
    lines = tf.data.TextLineDataset("a.txt")
    return lines.map(tokenize).filter(long_enough).flat_map(chunk).batch(8)
"""


def line_of(file: Path, text: str, *calls: str, texts: int, made: list[list[Any]]) -> list[Stage]:
    """A source of texts with the stages that calls of a file make."""
    file.write_text(text)
    source = [{"name": str(at), "dtype": "string", "shape": []} for at in range(texts)]
    rows = [{"name": str(at), "dtype": "int64", "shape": shape} for at, shape in enumerate(made)]
    stages = [Stage(id="source", op="zip", origin="written", element_spec=source)]  # type: ignore[arg-type]
    lines = text.splitlines()
    for number, call in enumerate(calls):
        op = "group_by_window" if call == "bucket_by_sequence_length" else call
        at = next(place for place, one in enumerate(lines, 1) if f".{call}(" in one)
        column = lines[at - 1].index(f".{call}(") + 2
        name = lines[at - 1][column - 1 :].partition("(")[2].partition(")")[0].partition(",")[0]
        stages.append(
            Stage(
                id=f"stages.{number}",
                op=op,
                origin="written",
                name=name if op in {"map", "filter", "flat_map"} else None,
                location=Location(file=str(file), line=at, column=column, call=call),
                element_spec=rows,  # type: ignore[arg-type]
            )
        )
    return stages
