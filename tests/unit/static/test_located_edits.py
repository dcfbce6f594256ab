"""Edits at the calls that have made stages, in functions and branches that no chain leads to."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import pytest

from pipeprof.pipelines.edits.edits import InsertStage, MoveStage, PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.edit.located import apply_at_calls

TEXT = """\
import tensorflow as tf

def prepare(ds, shuffle=False, augment=False):
    ds = ds.map(lambda x: x / 255)
    if shuffle:
        ds = ds.shuffle(1000)
    ds = ds.batch(32)
    if augment:
        ds = ds.map(lambda x: flip(x),
                    num_parallel_calls=2)
    return ds.prefetch(1)

train, val = (prepare(one, True, one is TRAIN) for one in PARTS)
"""
STAGES = {
    "source": ("from_tensor_slices", None),
    "stages.0": ("map", (4, 13, "map")),
    "stages.1": ("shuffle", (6, 17, "shuffle")),
    "stages.2": ("batch", (7, 13, "batch")),
    "stages.3": ("map", (9, 17, "map")),
    "stages.4": ("prefetch", (11, 15, "prefetch")),
}


def changed(*steps: Sequence[PipelineEdit], text: str = TEXT) -> list[str]:
    """The lines that differ."""
    after = apply_at_calls(text, "train.py", STAGES, steps)
    return [one for one in difflib.ndiff(text.splitlines(), after.splitlines()) if one[0] in "+-"]


def parallel(stage: str, value: int | str = "AUTOTUNE") -> SetArgument:
    return SetArgument(stage, "map", "num_parallel_calls", value)


def test_arguments_in_branches_of_a_function() -> None:
    assert changed(
        [parallel("stages.3"), parallel("stages.0", 4), SetArgument("stages.4", "prefetch", "buffer_size", 2)]
    ) == [
        "-     ds = ds.map(lambda x: x / 255)",
        "+     ds = ds.map(lambda x: x / 255, num_parallel_calls=4)",
        "-                     num_parallel_calls=2)",
        "+                     num_parallel_calls=tf.data.AUTOTUNE)",
        "-     return ds.prefetch(1)",
        "+     return ds.prefetch(2)",
    ]


def test_calls_of_one_line() -> None:
    text = "import tensorflow as tf\ntrain, test = read(9).map(f).map(g), read(3)\n"
    stages = {"source": ("range", None), "stages.0": ("map", (2, 23, "map")), "stages.1": ("map", (2, 30, "map"))}
    after = apply_at_calls(text, "train.py", stages, [[parallel("stages.0", 2), parallel("stages.1", 3)]])
    assert ".map(f, num_parallel_calls=2).map(g, num_parallel_calls=3), read(3)" in after


def test_stages_after_calls_in_the_order_of_the_edits() -> None:
    """The addresses of a step are those after the one before it."""
    first, second = (InsertStage("prefetch", {"buffer_size": size}, "stages.3") for size in (1, 2))
    last = InsertStage("prefetch", {"buffer_size": 3}, "stages.4")
    assert changed([first, second], [parallel("stages.3", 5)]) == [
        "-                     num_parallel_calls=2)",
        "+                     num_parallel_calls=5)",
        "+         ds = ds.prefetch(1)",
        "+         ds = ds.prefetch(2)",
    ]
    assert changed([last]) == ["-     return ds.prefetch(1)", "+     return ds.prefetch(1).prefetch(3)"]


@pytest.mark.parametrize(
    "edit",
    [
        InsertStage("cache", {}, "stages.0"),
        MoveStage("stages.2", "batch", "stages.0"),
        SetArgument("stages.0", "map", "deterministic", value=False),
        SetOption("deterministic", value=False),
    ],
)
def test_what_would_change_other_datasets_is_refused(edit: PipelineEdit) -> None:
    with pytest.raises(CannotEditSourceError, match=r"the calls in train\.py may be those of other datasets as well"):
        changed([edit])


def test_a_stage_without_a_call_is_refused() -> None:
    for edit in (
        InsertStage("prefetch", {"buffer_size": 1}, "source"),
        SetArgument("stages.4", "map", "num_parallel_calls", 1),
    ):
        with pytest.raises(
            CannotEditSourceError, match=r"source is not made by a call in train\.py|it is prefetch, expected map"
        ):
            changed([edit])
    with pytest.raises(CannotEditSourceError, match=r"line 11 of train\.py does not show the call of prefetch"):
        changed([SetArgument("stages.4", "prefetch", "buffer_size", 2)], text=TEXT.replace(".prefetch(1)", ""))
