"""Maps of texts with what comes after them, as lines that get many texts at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.verify.text_files import ROWS, TEXT, line_of

from pipeprof.profiles.advise.edits.many_texts import texts_in_chunks


def buckets(file: Path, text: str = TEXT) -> tuple[str, str]:
    calls = ("map", "filter", "shuffle", "repeat", "bucket_by_sequence_length", "prefetch")
    line = line_of(file, text, *calls, texts=2, made=[[None], [None]])
    found = texts_in_chunks(line, line[1])
    assert found is not None
    return found


def rows(file: Path, text: str = ROWS) -> tuple[str, str]:
    line = line_of(file, text, "map", "filter", "flat_map", "batch", texts=1, made=[[None]])
    found = texts_in_chunks(line, line[1])
    assert found is not None
    return found


def test_texts_go_into_buckets_by_lengths_that_are_counted_first(tmp_path: Path) -> None:
    words, code = buckets(tmp_path / "pairs.py")
    assert "put texts into buckets by them" in words
    assert code.splitlines() == [
        "def with_sizes(a, b):",
        "    size_0 = tf.cast(tf.strings.split(a).row_lengths(), tf.int32)",
        "    size_1 = tf.cast(tf.strings.split(b).row_lengths(), tf.int32)",
        "    return a, b, size_0, size_1",
        "def on_bucket(a, b, size_0, size_1):",
        "    return tuple(one.to_tensor() for one in encode(a, b))",
        "return lines.batch(256).map(with_sizes, num_parallel_calls=tf.data.AUTOTUNE).unbatch()"
        ".filter(lambda a, b, size_0, size_1: tf.maximum(size_0, size_1) <= 50).shuffle(2000, seed=SEED).repeat()"
        ".bucket_by_sequence_length(lambda a, b, size_0, size_1: size_0, [10, 20], [64, 48, 16])"
        ".map(on_bucket, num_parallel_calls=tf.data.AUTOTUNE).prefetch(1)  # in place of lines 20 to 21",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[64, 48, 16])", "[64, 48, 16], pad_to_bucket_boundary=True)"),
        ("return tf.size(a)", "return a[0]"),
        ("tf.strings.split(b)", "tf.strings.length(b)"),
        ("tf.size(b)) <= 50", "tf.reduce_max(b)) <= 50"),
    ],
    ids=["padded otherwise", "a length of values", "one value for each text", "a filter of values"],
)
def test_other_buckets_get_chunks_alone(tmp_path: Path, old: str, new: str) -> None:
    assert old in TEXT
    words, code = buckets(tmp_path / "pairs.py", TEXT.replace(old, new))
    assert words.startswith("batch 256 texts, call it on the batch")
    assert "bucket_by_sequence_length" not in code


def test_rows_are_cut_from_many_texts_at_once(tmp_path: Path) -> None:
    words, code = rows(tmp_path / "rows.py")
    assert "cut them into rows of 64 in the same call: chunk makes a dataset for each text" in words
    assert code.splitlines() == [
        "def rows_of(texts):",
        "    values = tokenize(texts)",
        "    values = tf.ragged.boolean_mask(values, tf.cast(values.row_lengths(), tf.int32) > 4)",
        "    missing = -values.row_lengths() % 64",
        "    zeros = tf.zeros([tf.reduce_sum(missing)], values.dtype)",
        "    values = tf.concat([values, tf.RaggedTensor.from_row_lengths(zeros, missing)], 1)",
        "    return tf.reshape(values.values, [-1, 64])",
        "return lines.batch(256).map(rows_of, num_parallel_calls=tf.data.AUTOTUNE).unbatch().batch(8)"
        "  # in place of rows.py:15",
    ]


def test_rows_that_are_not_full_are_dropped_where_they_were(tmp_path: Path) -> None:
    text = ROWS.replace("tf.pad(tokens, [[0, -tf.size(tokens) % 64]])", "tokens[: tf.size(tokens) // 64 * 64]")
    _, code = rows(tmp_path / "rows.py", text)
    assert "    whole = values.row_lengths() // 64 * 64" in code.splitlines()
    assert "missing" not in code


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-tf.size(tokens) % 64", "64 - tf.size(tokens) % 64"),
        ("> 4", "> 4 and tf.size(tokens) < 9"),
        ("size(tokens) >", "reduce_sum(tokens) >"),
    ],
    ids=["other rows", "a choice of Python's", "a filter of values"],
)
def test_other_rows_get_chunks_alone(tmp_path: Path, old: str, new: str) -> None:
    assert old in ROWS
    words, code = rows(tmp_path / "rows.py", ROWS.replace(old, new))
    assert words.startswith("batch 256 texts, call it on the batch, and unbatch")
    assert "rows_of" not in code
