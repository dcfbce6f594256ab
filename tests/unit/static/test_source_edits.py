"""Edits in the text of a Python function: only the lines that they are about change."""

from __future__ import annotations

import difflib

import pytest

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.static.edit.apply import apply_to_source
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError

HEAD = "import tensorflow as tf\n\n\ndef parse(x):\n    return x\n\n\n"
STATEMENTS = (
    HEAD
    + '''\
def make(path="é"):
    """A pipeline."""
    ds = tf.data.Dataset.range(9)  # numbers
    # one at a time
    ds = ds.map(parse)  # é slow

    ds = ds.batch(4, drop_remainder=True)
    return ds
'''
)
CHAIN = (
    HEAD
    + """\
def make():
    return (
        tf.data.Dataset.range(9)  # numbers
        # one at a time
        .map(
            lambda x: x + 1,  # plus one
        )
        .batch(4)  # four
    )
"""
)
JOINED = (
    HEAD
    + """\
def make():
    ds = tf.data.Dataset.range(9) \\
        .map(parse) \\
        .batch(4)
    return ds
"""
)
NAMES = (
    HEAD
    + """\
def make():
    numbers = tf.data.Dataset.range(9)
    parsed = numbers.map(parse)
    return parsed.shuffle(3).batch(4)
"""
)
ZIPPED = (
    HEAD
    + """\
def make():
    one = tf.data.Dataset.range(9).map(parse)
    other = tf.data.Dataset.range(9).map(parse)
    return tf.data.Dataset.zip((one, other)).batch(4)
"""
)
STAGES = {"source": "range", "stages.0": "map", "stages.1": "batch"}
PARALLEL = SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE")
AHEAD = InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, "stages.1")


def changed(text: str, *steps: tuple[PipelineEdit, ...], stages: dict[str, str] = STAGES) -> list[str]:
    """The changed lines, in the form of a diff."""
    after = apply_to_source(text, "make", stages, steps)
    compile(after, "f.py", "exec")
    diff = difflib.unified_diff(text.splitlines(), after.splitlines(), n=0)
    return [line for line in diff if line[:1] in "+-" and not line.startswith(("+++", "---"))]


def test_one_statement_for_each_call() -> None:
    assert changed(STATEMENTS, (PARALLEL, AHEAD)) == [
        "-    ds = ds.map(parse)  # é slow",
        "+    ds = ds.map(parse, num_parallel_calls=tf.data.AUTOTUNE)  # é slow",
        "+    ds = ds.prefetch(tf.data.AUTOTUNE)",
    ]


def test_a_chain_over_several_lines_keeps_its_comments_and_commas() -> None:
    assert changed(CHAIN, (PARALLEL, AHEAD)) == [
        "+            num_parallel_calls=tf.data.AUTOTUNE,",
        "+        .prefetch(tf.data.AUTOTUNE)",
    ]


def test_lines_joined_by_backslashes() -> None:
    assert changed(JOINED, (AHEAD, InsertStage("cache", {}, "stages.0"))) == [
        "-        .batch(4)",
        "+        .cache() \\",
        "+        .batch(4) \\",
        "+        .prefetch(tf.data.AUTOTUNE)",
    ]


def test_names_in_between_and_calls_in_one_line() -> None:
    stages = {"source": "range", "stages.0": "map", "stages.1": "shuffle", "stages.2": "batch"}
    assert changed(NAMES, (InsertStage("cache", {}, "stages.0"), AHEAD), stages=stages) == [
        "-    return parsed.shuffle(3).batch(4)",
        "+    parsed = parsed.cache()",
        "+    return parsed.shuffle(3).prefetch(tf.data.AUTOTUNE).batch(4)",
    ]


def test_the_inputs_of_a_zip() -> None:
    stages = {
        "source": "zip",
        "source.inputs.0.source": "range",
        "source.inputs.0.stages.0": "map",
        "source.inputs.1.source": "range",
        "source.inputs.1.stages.0": "map",
        "stages.0": "batch",
    }
    edits = (SetArgument("source.inputs.1.stages.0", "map", "num_parallel_calls", 16), SetOption("a.b", 32))
    assert changed(ZIPPED, edits, stages=stages) == [
        "-    other = tf.data.Dataset.range(9).map(parse)",
        "-    return tf.data.Dataset.zip((one, other)).batch(4)",
        "+    other = tf.data.Dataset.range(9).map(parse, num_parallel_calls=16)",
        "+    options = tf.data.Options()",
        "+    options.a.b = 32",
        "+    return tf.data.Dataset.zip((one, other)).batch(4).with_options(options)",
    ]


def test_inputs_that_a_helper_function_makes_are_not_followed() -> None:
    sides = "def sides():\n    return tf.data.Dataset.zip(tuple(map(side, (1, 2))))\n\n\n"
    text = f"{HEAD}{sides}def make():\n    return sides().batch(4)\n"
    inputs = {"source.inputs.0.source": "range", "source.inputs.1.source": "range"}
    with pytest.raises(CannotEditSourceError):
        changed(
            text,
            (InsertStage("cache", {}, "source.inputs.0.source"),),
            stages={"source": "zip", **inputs, "stages.0": "batch"},
        )


def test_a_step_has_the_addresses_that_the_one_before_it_made() -> None:
    first = (InsertStage("cache", {}, "source"),)
    second = (SetArgument("stages.1", "map", "num_parallel_calls", 2),)
    assert changed(JOINED, first, second) == [
        "-    ds = tf.data.Dataset.range(9) \\",
        "-        .map(parse) \\",
        "+    ds = tf.data.Dataset.range(9).cache() \\",
        "+        .map(parse, num_parallel_calls=2) \\",
    ]


def test_a_statement_moves_with_its_comments() -> None:
    assert changed(STATEMENTS, (MoveStage("stages.1", "batch", "stages.0"),)) == [
        "+    ds = ds.batch(4, drop_remainder=True)",
        "-    ds = ds.batch(4, drop_remainder=True)",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHAIN, ["+        .batch(4)  # four", "-        .batch(4)  # four"]),
        (JOINED, ["-        .map(parse) \\", "-        .batch(4)", "+        .batch(4) \\", "+        .map(parse)"]),
    ],
)
def test_a_call_of_a_chain_moves(text: str, expected: list[str]) -> None:
    assert changed(text, (MoveStage("stages.1", "batch", "stages.0"),)) == expected


def test_a_call_in_a_line_moves() -> None:
    stages = {"source": "range", "stages.0": "map", "stages.1": "shuffle", "stages.2": "batch"}
    assert changed(NAMES, (MoveStage("stages.2", "batch", "stages.0"),), stages=stages) == [
        "-    parsed = numbers.map(parse)",
        "-    return parsed.shuffle(3).batch(4)",
        "+    parsed = numbers.batch(4).map(parse)",
        "+    return parsed.shuffle(3)",
    ]


def test_a_map_on_whole_batches() -> None:
    new = "lambda *batch: tf.vectorized_map(lambda element: parse(*element), batch)"
    assert changed(STATEMENTS, (VectoriseMap("stages.0", "stages.1"),)) == [
        "-    # one at a time",
        "-    ds = ds.map(parse)  # é slow",
        "+    # one at a time",
        f"+    ds = ds.map({new})  # é slow",
    ]


def test_removed_and_changed_arguments() -> None:
    edits = (ReplaceStages(("stages.0",)), SetArgument("stages.1", "batch", "batch_size", 8))
    assert changed(STATEMENTS, edits) == [
        "-    # one at a time",
        "-    ds = ds.map(parse)  # é slow",
        "-    ds = ds.batch(4, drop_remainder=True)",
        "+    ds = ds.batch(8, drop_remainder=True)",
    ]


def test_options_that_the_function_has() -> None:
    text = STATEMENTS.replace(
        "    return ds\n",
        "    options = tf.data.Options()\n    options.threading.private_threadpool_size = 2\n"
        "    return ds.with_options(options)\n",
    )
    assert changed(text, (SetOption("threading.private_threadpool_size", 16),)) == [
        "-    options.threading.private_threadpool_size = 2",
        "+    options.threading.private_threadpool_size = 16",
    ]
    assert changed(text, (SetOption("deterministic", False),)) == ["+    options.deterministic = False"]


def test_line_ends_stay() -> None:
    text = STATEMENTS.replace("\n", "\r\n")
    after = apply_to_source(text, "make", STAGES, [(AHEAD,)])
    assert after.replace("\r\n", "").count("\n") == 0
    assert "    ds = ds.prefetch(tf.data.AUTOTUNE)\r\n" in after


def test_stages_that_a_called_function_makes_stay_in_it() -> None:
    text = HEAD + "def make():\n    ds = numbers(3)\n    ds = ds.batch(4)\n    return ds\n"
    edits = (AHEAD,)
    assert changed(text, edits) == ["+    ds = ds.prefetch(tf.data.AUTOTUNE)"]
    with pytest.raises(CannotEditSourceError, match=r"stages\.0 is not one of the calls in make"):
        changed(text, (PARALLEL,))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("    if 1:\n        return ds()\n    return ds()\n", "only return"),
        (
            "    ds = tf.data.Dataset.range(9).map(parse)\n    if 1:\n        ds = ds.batch(4)\n    return ds\n",
            "not the",
        ),
        ("    return tf.data.Dataset.range(9).map(*parse).batch(4)\n", "one by one"),
        ("    return tf.data.Dataset.range(9).map(parse, 4).batch(4)\n", "no names"),
    ],
)
def test_what_the_text_does_not_show_is_refused(body: str, reason: str) -> None:
    with pytest.raises(CannotEditSourceError, match=reason):
        changed(HEAD + "def make():\n" + body, (PARALLEL,))
