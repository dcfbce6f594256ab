"""Functions whose rows differ in length, applied to whole batches by their graph: the same elements, no loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
from integration.edited_datasets import assert_same, edited, elements

from pipeprof.pipelines.edits.edits import VectoriseMap
from pipeprof.pipelines.graph.edit.errors import CannotEditError

pytestmark = pytest.mark.usefixtures("without_autograph")

LINES = [
    "a b c",
    "",
    "x",
    "  two  words ",
    "a,b;c a",
    "é ü two",
    "1 2 3 4 5 6 7 8 9 10",
    "Z",
    "\xff\xfe",
    "b a",
    "c c c",
]
ON_BATCH = VectoriseMap("stages.0", "stages.1")


def words(line: Any) -> Any:
    return tf.strings.split(line)


def numbers(line: Any) -> Any:
    return tf.strings.to_hash_bucket_fast(words(line), 50)


def values(line: Any) -> Any:
    return tf.strings.to_number(tf.strings.split(line, ","))


def table() -> Any:
    keys, ids = tf.constant(["a", "two", "x"]), tf.constant([1, 2, 3], tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, ids), 0)


TABLE = table()
WEIGHTS = tf.reshape(tf.range(200, dtype=tf.float32), [50, 4])
KINDS = tf.constant(["cat", "dog"])

PADDED: dict[str, Callable[[Any], Any]] = {
    "words": words,
    "lower case": lambda line: tf.strings.split(tf.strings.lower(tf.strings.strip(line))),
    "at a separator": lambda line: tf.strings.split(line, ","),
    "replaced": lambda line: tf.strings.split(tf.strings.regex_replace(line, "[,;]", " ")),
    "hashed": numbers,
    "looked up": lambda line: TABLE.lookup(words(line)),
    "the first": lambda line: words(line)[:3],
    "the last": lambda line: words(line)[-2:],
    "without the last": lambda line: words(line)[:-1],
    "input and target": lambda line: (numbers(line)[:-1], numbers(line)[1:]),
    "marked": lambda line: tf.concat([["<s>"], words(line), ["</s>"]], 0),
    "marked numbers": lambda line: tf.concat([[1], numbers(line), [2]], 0),
    "with its length": lambda line: {"ids": numbers(line), "length": tf.shape(numbers(line))[0]},
    "with a mask": lambda line: (numbers(line), tf.ones_like(numbers(line))),
    "joined with its line": lambda line: tf.strings.join([words(line), "/", line]),
    "scaled by its line": lambda line: (
        tf.cast(numbers(line), tf.float32) / (tf.cast(tf.strings.length(line), tf.float32) + 1.0)
    ),
    "places": lambda line: tf.range(tf.size(words(line))),
    "one hot": lambda line: tf.one_hot(numbers(line), 50),
    "embedded": lambda line: tf.gather(WEIGHTS, numbers(line)),
    "bytes": tf.strings.bytes_split,
    "code points": lambda line: tf.strings.unicode_decode(line, "UTF-8"),
    "columns": lambda line: tf.stack([numbers(line), numbers(line) + 1], 1)[:, 0],
    "sums": lambda line: (words(line), tf.reduce_sum(numbers(line)), tf.reduce_max(tf.strings.length(words(line)))),
    "the longest first": lambda line: (line, words(line), tf.cast(tf.size(words(line)), tf.float32) * 2.0),
}


def of_lines(function: Callable[[Any], Any], lines: list[str] = LINES) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(lines).map(function)


# Whether the last batch is dropped is up to the batch alone: it is tried with some functions.
@pytest.mark.parametrize(
    ("name", "drop_remainder"),
    [*((name, False) for name in PADDED), *((name, True) for name in ("words", "looked up", "with its length"))],
)
def test_a_padded_batch_is_the_same(name: str, *, drop_remainder: bool) -> None:
    dataset = of_lines(PADDED[name]).padded_batch(3 if drop_remainder else 4, drop_remainder=drop_remainder)
    assert_same(edited(dataset, ON_BATCH), dataset)


@pytest.mark.parametrize("shuffled", [False, True])
def test_of_maps_in_a_row_the_last_one_pads(shuffled: bool) -> None:
    lines = [f"{number};{line.replace(';', ' ')}" for number, line in enumerate(LINES[:8])]
    parsed = of_lines(lambda line: tf.io.decode_csv(line, [[0], [""]], field_delim=";"), lines)
    rows = parsed.map(lambda number, text: (TABLE.lookup(words(text))[:3], number + 1))
    rows = rows.shuffle(4, seed=1) if shuffled else rows
    dataset = rows.padded_batch(3)
    batch = "stages.3" if shuffled else "stages.2"
    assert_same(edited(dataset, VectoriseMap("stages.1", batch), VectoriseMap("stages.0", batch)), dataset)
    with pytest.raises(CannotEditError, match="depends on what the map gives"):
        edited(dataset, VectoriseMap("stages.0", batch), VectoriseMap("stages.1", batch))


def test_values_and_shapes_of_the_padding_are_kept() -> None:
    both = of_lines(lambda line: (numbers(line), tf.size(words(line))))
    dataset = both.padded_batch(4, padded_shapes=([12], []), padding_values=(tf.constant(-1, tf.int64), 0))
    assert_same(edited(dataset, ON_BATCH), dataset)
    short = both.padded_batch(4, padded_shapes=([5], []))
    for one in (short, edited(short, ON_BATCH)):
        with pytest.raises((tf.errors.DataLossError, tf.errors.InvalidArgumentError)):
            list(one)


def test_rows_of_one_length_are_a_batch() -> None:
    cases: dict[str, Callable[[Any], Any]] = {
        "values": values,
        "known": lambda line: tf.ensure_shape(values(line), [3]),
        "reshaped": lambda line: tf.ensure_shape(values(line), [3])[:2] * 2.0,
        "first": lambda line: (values(line)[0], values(line)[1:]),
        "last": lambda line: tf.strings.to_number(tf.strings.split(line, ",")[-1], tf.int32),
        "gathered": lambda line: tf.gather(tf.strings.split(line, ","), 1),
        "filled": lambda line: tf.pad(values(line)[:2], [[1, 6 - tf.size(values(line))]], constant_values=-1.0),
        "two": lambda line: tf.stack([values(line)[0], values(line)[2]]),
        "checked": lambda line: [tf.debugging.assert_less(tf.size(values(line)), 9), values(line)][1],
    }
    for name, function in cases.items():
        dataset = of_lines(function, ["1,2,3", "4.5,5,6", "7,8,9", "10,11,12", "0,0,0"]).batch(2)
        found = edited(dataset, ON_BATCH)
        assert elements(found) == elements(dataset), name
        assert found.element_spec == dataset.element_spec, name
    kinds = of_lines(lambda path: tf.strings.split(path, "/")[-2] == KINDS, ["a/cat/1", "b/c/dog/2", "cat/3"]).batch(2)
    assert_same(edited(kinds, ON_BATCH), kinds)


def pairs(line: Any) -> Any:
    return tf.strings.split(tf.strings.split(line)[1:], ":").to_tensor()


def test_the_words_of_several_texts_are_a_tensor() -> None:
    lines = ["1 3:0.5 7:2", "0 1:1 2:0.25", "1 9:9 8:8", "0 4:4 5:5", "1 6:0 1:2"]

    def libsvm(line: Any) -> Any:
        both = tf.reshape(pairs(line), [2, 2])
        label = tf.strings.to_number(tf.strings.split(line)[0])
        return {"ids": tf.strings.to_number(both[:, 0], tf.int32), "values": tf.strings.to_number(both[:, 1])}, label

    cases: dict[str, Callable[[Any], Any]] = {
        "pairs": libsvm,
        "of one width": lambda line: tf.strings.split(tf.strings.split(line)[1:], ":").to_tensor(shape=[None, 3]),
        "of fixed columns": lambda line: tf.strings.split(tf.reshape(tf.strings.split(line), [3]), ":").to_tensor("-"),
    }
    for name, function in cases.items():
        dataset = of_lines(function, lines).batch(2)
        found = edited(dataset, ON_BATCH)
        assert elements(found) == elements(dataset), name
        assert found.element_spec == dataset.element_spec, name
    dataset = of_lines(pairs, ["1", "0 1:1", "1 1:2 3:4 5:6", "0"]).padded_batch(3, padded_shapes=[None, 2])
    with pytest.raises(CannotEditError, match="pads rows of different lengths in several dimensions"):
        edited(dataset, ON_BATCH)
    wide = of_lines(lambda line: tf.ensure_shape(pairs(line), [None, 2]), ["0 1:1", "1 1:2 3:4 5:6", "0 7:8"])
    assert_same(edited(wide.padded_batch(2), ON_BATCH), wide.padded_batch(2))


def test_rows_of_a_captured_tensor_are_taken_at_the_places_of_a_batch() -> None:
    """TensorFlow's own vectorisation has no slice at places that differ; pfor's error about it is not shown."""
    cases: dict[str, Callable[[Any], Any]] = {
        "windows": lambda place: (WEIGHTS[place : place + 5], WEIGHTS[place + 5 : place + 7, 1]),
        "rows": lambda place: (WEIGHTS[place], WEIGHTS[place - 40, 2:]),
        "slices": lambda place: (
            tf.slice(WEIGHTS, [tf.cast(place, tf.int32), 0], [5, 4]),
            tf.squeeze(tf.slice(WEIGHTS, [tf.cast(place, tf.int32) + 5, 1], [2, 1]), -1),
        ),
        "from the end": lambda place: WEIGHTS[place - 50 : place - 40, ::2] * 2.0,
    }
    for name, function in cases.items():
        dataset = tf.data.Dataset.range(9).map(function).batch(4)
        assert elements(edited(dataset, ON_BATCH)) == elements(dataset), name
    beyond = (
        lambda place: WEIGHTS[place : place + 5],
        lambda place: tf.slice(WEIGHTS, [tf.cast(place, tf.int32), 0], [5, -1]),
    )
    for function in beyond:
        short = tf.data.Dataset.range(44, 49).map(function).batch(5)
        for one in (short, edited(short, ON_BATCH)):
            with pytest.raises(tf.errors.InvalidArgumentError):
                list(one)
    stepped = tf.data.Dataset.range(9).map(lambda place: WEIGHTS[place : place + 6 : 2]).batch(4)
    with pytest.raises(CannotEditError, match="at places that differ between elements, with steps"):
        edited(stepped, ON_BATCH)


def test_texts_without_words_are_a_batch_too() -> None:
    """TensorFlow's own vectorisation has no form for these ops, or none where a table is captured."""
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["ab", "cd"], [5, 7]), -1)

    def picture(text: Any) -> Any:
        found = tf.reshape(tf.io.decode_raw(text, tf.uint8), [2, 1, 1])
        return tf.cast(tf.transpose(found, [1, 0, 2]), tf.float32) / 4.0 - 1.0

    def row(text: Any) -> Any:
        first, second = tf.io.decode_csv(tf.strings.join([text, ",", text]), [[""], [""]])
        place = tf.strings.to_hash_bucket_fast(first, 6)
        hot = tf.concat([tf.one_hot(place, 6), tf.one_hot(place + 1, 6)], axis=-1)
        return {"hot": hot, "found": table.lookup(second)}, tf.strings.length(text)

    for function in (picture, row):
        for size in (2, 3):
            texts = tf.data.Dataset.from_tensor_slices(["ab", "cd", "xy", "zz", "ab"])
            dataset = texts.map(function, num_parallel_calls=2).batch(size)
            assert_same(edited(dataset, ON_BATCH), dataset)


def test_raw_bytes_of_different_lengths_are_no_batch() -> None:
    dataset = tf.data.Dataset.from_tensor_slices(["ab", "c"]).map(lambda text: tf.io.decode_raw(text, tf.uint8))
    for one in (dataset.batch(2), edited(dataset.batch(2), ON_BATCH)):
        with pytest.raises(tf.errors.InvalidArgumentError):
            list(one)


def test_texts_of_different_numbers_of_words_are_no_batch() -> None:
    for lines in (["0 1:1 2:2", "0 1:1:1 2:2:2"], ["0 1:1:1 2:2", "0 1:1 2:2"]):
        dataset = of_lines(pairs, lines).batch(2)
        for one in (dataset, edited(dataset, ON_BATCH)):
            with pytest.raises(tf.errors.InvalidArgumentError):
                list(one)


def test_what_fails_for_an_element_fails_for_its_batch() -> None:
    cases = {
        "differ in length": of_lines(values, ["1,2", "3"]).batch(2),
        "no such element": of_lines(lambda line: values(line)[1], ["1,2", "3"]).batch(2),
        "no number": of_lines(values, ["1,2", "3,b"]).batch(2),
        "asserted": of_lines(
            lambda line: [tf.debugging.assert_less(tf.size(words(line)), 2), words(line)][1], ["a", "a b"]
        ).padded_batch(2),
    }
    for dataset in cases.values():
        for one in (dataset, edited(dataset, ON_BATCH)):
            with pytest.raises(tf.errors.InvalidArgumentError):
                list(one)


def test_stages_between_that_do_not_look_at_elements_stay() -> None:
    dataset = of_lines(numbers).shuffle(5, seed=3).repeat(2).padded_batch(4).map(lambda ids: ids + 1).prefetch(1)
    found = edited(dataset, VectoriseMap("stages.0", "stages.3"))
    assert elements(found) == elements(dataset)


def test_what_has_no_form_for_many_elements_is_named() -> None:
    cases = [
        (lambda line: tf.unique(words(line))[0], "its op Unique to rows of different lengths"),
        (lambda line: tf.reverse(words(line), [0]), "its op ReverseV2 to rows of different lengths"),
        (lambda line: words(line)[::2], "slice of rows of different lengths with steps or"),
        (lambda line: tf.range(0, tf.strings.length(line), 2)[::2], "slice of rows of different lengths with steps or"),
        (lambda line: tf.random.shuffle(words(line)), "draws random numbers"),
    ]
    for function, text in cases:
        with pytest.raises(CannotEditError, match=f"stages.0: .*{text}"):
            edited(of_lines(function).padded_batch(2), ON_BATCH)
