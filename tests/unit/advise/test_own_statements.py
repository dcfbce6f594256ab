"""Code to write in the user's own statements: names, arguments and receivers are those of the file."""

from __future__ import annotations

import ast
import textwrap
from dataclasses import replace

import pytest
from unit.advise.dropped_views import branches
from unit.advise.views import function, measured, pipeline, stage, tensor

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.profiles.advise.edits.chain_python import python_of
from pipeprof.profiles.advise.edits.in_place import on_own_name
from pipeprof.profiles.advise.rules.dropped.concatenated_parts import ConcatenatedParts
from pipeprof.profiles.advise.rules.dropped.read_once_per_branch import ReadOncePerBranch
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.texts import with_functions
from pipeprof.profiles.view.view import PipelineView, StageView

FILE = "train.py"


def written(code: str, *ops: str) -> PipelineView:
    """A pipeline whose stages are the calls of these names, in this order, each in the line where the code has it."""
    lines = textwrap.dedent(code).strip().splitlines()
    places = {op: number for number, line in enumerate(lines, 1) for op in ops if f"{op}(" in line}
    arguments = {
        "map": {"num_parallel_calls": 4},
        "batch": {"batch_size": 32},
        "skip": {"count": 7},
        "take": {"count": 2},
    }
    stages = [
        stage(
            "source" if number == 0 else f"stages.{number - 1}",
            op,
            name="decode" if op == "map" else None,
            arguments=arguments.get(op, {}),
            location=Location(file=FILE, line=places[op]),
        )
        for number, op in enumerate(ops)
    ]
    return with_functions(pipeline(*stages), {FILE: "\n".join(lines) + "\n"})


def code_of(view: PipelineView, *edits: PipelineEdit) -> list[str]:
    return (python_of(view, edits) or "").splitlines()


CHAIN = """
def held_out(paths):
    photos = tf.data.TFRecordDataset(paths)
    return photos.map(decode, num_parallel_calls=CALLS).skip(TRAIN).batch(SIZE, True)
"""
STAGES = ("TFRecordDataset", "map", "skip", "batch")


@pytest.mark.parametrize(
    ("edit", "statement"),
    [
        (
            MoveStage("stages.1", "skip", "stages.0"),
            "return photos.skip(TRAIN).map(decode, num_parallel_calls=CALLS).batch(SIZE, True)",
        ),
        (
            SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE"),
            "return photos.map(decode, num_parallel_calls=tf.data.AUTOTUNE).skip(TRAIN).batch(SIZE, True)",
        ),
        (
            SetArgument("stages.2", "batch", "batch_size", 64),
            "return photos.map(decode, num_parallel_calls=CALLS).skip(TRAIN).batch(64, True)",
        ),
        (
            InsertStage("prefetch", {"buffer_size": 2}, None),
            "return photos.map(decode, num_parallel_calls=CALLS).skip(TRAIN).batch(SIZE, True).prefetch(buffer_size=2)",
        ),
        (ReplaceStages(("stages.1",), (), ""), "return photos.map(decode, num_parallel_calls=CALLS).batch(SIZE, True)"),
        (
            VectoriseMap("stages.0", "stages.2"),
            "return photos.skip(TRAIN).batch(SIZE, True).map(lambda *batch: "
            "tf.vectorized_map(lambda row: decode(*row), batch), num_parallel_calls=tf.data.AUTOTUNE)",
        ),
    ],
    ids=["move", "set", "set by place", "insert", "remove", "vectorise"],
)
def test_a_change_is_the_statement_that_has_it(edit: PipelineEdit, statement: str) -> None:
    assert code_of(written(CHAIN, *STAGES), edit) == [f"{statement}  # in place of train.py:3"]


def test_what_comes_after_a_source_stays_with_its_own_expression() -> None:
    assert code_of(written(CHAIN, *STAGES), InsertStage("shard", {"num_shards": 4, "index": 0}, "source")) == [
        "photos = tf.data.TFRecordDataset(paths).shard(num_shards=4, index=0)  # in place of train.py:2"
    ]


def test_options_are_those_of_what_is_returned() -> None:
    assert code_of(written(CHAIN, *STAGES), SetOption("autotune.enabled", value=True)) == [
        "options = tf.data.Options()",
        "options.autotune.enabled = True",
        "return photos.map(decode, num_parallel_calls=CALLS).skip(TRAIN).batch(SIZE, True).with_options(options)"
        "  # in place of train.py:3",
    ]


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        (
            CHAIN,
            [
                "options = tf.data.Options()",
                "options.autotune.enabled = True",
                "return photos.map(decode, num_parallel_calls=2).skip(TRAIN).batch(SIZE, True).with_options(options)"
                "  # in place of train.py:3",
            ],
        ),
        (
            "ds = tf.data.TFRecordDataset(paths).map(decode, num_parallel_calls=CALLS).skip(TRAIN).batch(SIZE, True)",
            [
                "ds = tf.data.TFRecordDataset(paths).map(decode, num_parallel_calls=2).skip(TRAIN).batch(SIZE, True)"
                "  # in place of train.py:1",
                "options = tf.data.Options()",
                "options.autotune.enabled = True",
                "ds = ds.with_options(options)  # at the end, train.py:1",
            ],
        ),
    ],
    ids=["returned", "assigned"],
)
def test_options_are_those_of_the_changed_calls(code: str, lines: list[str]) -> None:
    edits = (SetArgument("stages.0", "map", "num_parallel_calls", 2), SetOption("autotune.enabled", value=True))
    found = code_of(written(code, *STAGES), *edits)
    assert found == lines
    ast.parse("\n".join(found))


OF_TWO = """
def photos(paths):
    return tf.data.TFRecordDataset(paths).map(decode)
def held_out(paths):
    return photos(paths).skip(TRAIN).batch(SIZE)
"""


def test_a_change_across_two_functions_is_no_statement() -> None:
    lines = code_of(written(OF_TWO, *STAGES), MoveStage("stages.1", "skip", "stages.0"))
    assert not any(line.startswith("return") for line in lines)
    assert [line for line in lines if "skip(TRAIN)" in line and "decode" not in line]


def test_two_changes_of_one_statement_are_not_two_statements() -> None:
    code = "both = tf.data.Dataset.zip((a.map(decode), b.batch(SIZE)))\n"
    sides = [
        stage(f"source.inputs.{side}.stages.0", op, inputs=(), location=Location(file=FILE, line=1))
        for side, op in enumerate(("map", "batch"))
    ]
    joins = stage("source", "zip", inputs=tuple(one.id for one in sides), location=Location(file=FILE, line=1))
    view = with_functions(pipeline(*sides, joins), {FILE: code})
    edits = [
        InsertStage("prefetch", {"buffer_size": 2}, "source.inputs.0.stages.0"),
        InsertStage("prefetch", {"buffer_size": 3}, "source.inputs.1.stages.0"),
    ]
    assert not any("zip" in line for line in code_of(view, *edits))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("    return rows.map(f).batch(2)", "rows"),
        ("    train = tf.data.Dataset.range(9).batch(2)", "train"),
        ("    return tf.data.Dataset.range(9).batch(2)", "dataset"),
    ],
)
def test_lines_on_a_name_that_stands_for_the_users_have_its_name(line: str, name: str) -> None:
    place = Location(file=FILE, line=2)
    code = "dataset = dataset.cache()\ndataset = tf.data.Dataset.range(2)  # dataset"
    lines = on_own_name(code, f"def make():\n{line}\n", place, "batch").splitlines()
    assert lines == [f"{name} = {name}.cache()", f"{name} = tf.data.Dataset.range(2)  # dataset"]


RESAMPLED = """
def sources():
    return tf.data.Dataset.from_tensor_slices(names)
def decode(path, label):
    return tf.io.decode_jpeg(tf.io.read_file(path)), label
def balance(rows):
    rows = rows.rejection_resample(class_func=KEY, target_dist=[0.5, 0.5])
    return rows.map(lambda _, element: element)
def make():
    photos = sources().map(decode, num_parallel_calls=CALLS)
    return balance(photos).batch(16)
"""


def resampled(key: str) -> list[str]:
    view = branches(("map", {}), ("filter", {}), call="rejection_resample", used=640)
    code = RESAMPLED.replace("KEY", key).strip() + "\n"
    places = {"map": Location(file=FILE, line=9), "filter": Location(file=FILE, line=6, call="rejection_resample")}
    stages = [replace(one, location=places.get(one.op)) for one in view.stages if one.op != "batch"]
    drops = stage("stages.0", "map", inputs=("source",), location=Location(file=FILE, line=7))
    stages += [drops, stage("stages.1", "batch", inputs=("stages.0",), location=Location(file=FILE, line=10))]
    view = with_functions(replace(view, stages=tuple(stages)), {FILE: code})
    (hit,) = ReadOncePerBranch().diagnose(view)
    return getattr(hit.by_hand, "python", "").splitlines()


def test_resampling_in_a_function_of_its_own_comes_first_in_both_statements() -> None:
    assert resampled("lambda _, label: label") == [
        "photos = sources()  # in place of train.py:9",
        "return balance(photos).map(decode, num_parallel_calls=CALLS).batch(16)  # in place of train.py:10",
    ]


def test_a_class_that_is_read_by_another_place_changes_its_line_too() -> None:
    assert resampled("lambda image, label: label + tf.shape(image)[0]")[0].startswith(".rejection_resample(")


PARTS = """
NAMES, COUNT, SIZE = ["a", "b"], 12, 4
def read(name, number):
    return np.load(name.numpy().decode())[int(number)]
def load(name, number):
    row = tf.py_function(read, [name, number], tf.float32)
    row.set_shape([8])
    return row
def part(name):
    rows = tf.data.Dataset.from_tensor_slices(([name] * COUNT, list(range(COUNT))))
    return rows.map(load).batch(SIZE).prefetch(1)
def make():
    every = None
    for name in NAMES:
        every = part(name) if every is None else every.concatenate(part(name))
    return every
"""


def of_parts(count: int = 10) -> list[str]:
    """The code for small datasets whose map calls Python, which a loop joins."""
    lines = PARTS.strip().split("\n")
    at = {word: Location(file=FILE, line=next(n for n, text in enumerate(lines, 1) if word in text)) for word in _WORDS}
    python = {"name": "load", "function": function("EagerPyFunc"), "element": (tensor("float32", 8),), "ms": 1.0}
    stages: list[StageView] = []
    for number in range(count):
        inner = f"stages.{number}.inputs.1." if number else ""
        end = stages[-1].id if stages else ""
        part = [
            stage(f"{inner}source", "from_tensor_slices", inputs=(), location=at["from_tensor_slices"]),
            stage(f"{inner}stages.0", "map", inputs=(f"{inner}source",), location=at[".map("], **python),
            stage(
                f"{inner}stages.1",
                "batch",
                inputs=(f"{inner}stages.0",),
                location=at[".map("],
                arguments={"batch_size": 32},
            ),
            stage(f"{inner}stages.2", "prefetch", inputs=(f"{inner}stages.1",), location=at[".map("]),
        ]
        join = stage(f"stages.{number + 2}", "concatenate", inputs=(end, part[-1].id), location=at[".concatenate("])
        stages += [*part, *([join] if number else [])]
    view = with_functions(
        measured(pipeline(*stages, static=False), interval_ms=20.0, headspace=0.9), {FILE: "\n".join(lines)}
    )
    (hit,) = ConcatenatedParts().diagnose(view)
    return getattr(hit.by_hand, "python", "").splitlines()


_WORDS = ("from_tensor_slices", ".map(", ".concatenate(")


def test_parts_of_a_loop_are_one_source_with_their_stages_once() -> None:
    first, *_, last = of_parts()
    assert first == "parts = [([name] * COUNT, list(range(COUNT))) for name in NAMES]"
    # A name of the function that makes a part, such as SIZE could be, is its value.
    assert last.startswith("every = tf.data.Dataset.from_tensor_slices(rows).map(load).batch(batch_size=32).prefetch(")
