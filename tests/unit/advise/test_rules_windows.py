"""``windows-one-by-one``, with near twins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from unit.advise.function_views import found
from unit.advise.views import function, stage, tensor
from unit.advise.window_views import PAIR, hit, windows

from pipeprof.pipelines.changes.edits import NewStage, ReplaceStages
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rule import bar_to_try
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.view import PipelineView


def test_many_windows_are_cut_out_of_one_piece() -> None:
    one = hit(windows())
    assert one.stage == "stages.1"
    assert one.edits == (
        ReplaceStages(
            ("stages.0", "stages.1"),
            (
                NewStage("window", {"size": 281, "shift": 256}),
                NewStage("flat_map", {"source": {"zip": {"datasets": [{"on": 0, "stages": [BATCH_281]}]}}}),
                NewStage("map", {"ops": [{"tf.signal.frame": {**FRAME, "on": 0}}]}),
                NewStage("unbatch"),
            ),
            "make {stage} 281 elements long, cut 256 out of each with tf.signal.frame",
            flat=True,
        ),
    )
    assert one.predicted is not None
    assert one.predicted.speedup is not None
    assert one.predicted.speedup > 1.5


ONE_BATCH = stage("stages.1.source", "batch", arguments={"batch_size": 26, "drop_remainder": True})
BATCH_281 = {"batch": {"batch_size": 281}}
FRAME = {"frame_length": 26, "frame_step": 1, "axis": 0}


def test_a_spec_keeps_the_structure_of_its_elements() -> None:
    single, named = hit(windows(written={})), hit(windows(PAIR, written={}, keys=("x", "y")))
    (edit,), (other,) = single.edits, named.edits
    assert isinstance(edit, ReplaceStages)
    assert isinstance(other, ReplaceStages)
    assert edit.by[1:3] == (
        NewStage("flat_map", {"stages": [BATCH_281]}),
        NewStage("map", {"ops": [{"tf.signal.frame": FRAME}]}),
    )
    assert other.by[1].arguments["source"]["zip"]["datasets"] == {
        "x": {"on": "x", "stages": [BATCH_281]},
        "y": {"on": "y", "stages": [BATCH_281]},
    }
    assert not edit.flat
    assert not other.flat


def test_strides_are_taken_from_what_is_cut() -> None:
    (edit,) = hit(windows(window={"stride": 3, "shift": 2})).edits
    assert isinstance(edit, ReplaceStages)
    # A window reaches over 25 × 3 + 1 elements, the last of 256 begins 510 after the first.
    assert edit.by[0] == NewStage("window", {"size": 586, "shift": 512})
    assert edit.by[2].arguments["ops"] == [
        {"tf.signal.frame": {"frame_length": 76, "frame_step": 2, "axis": 0, "on": 0}},
        {"getitem": {"key": ":, ::3", "on": 0}},
    ]


@pytest.mark.parametrize("complete", [True, False])
def test_windows_that_share_nothing_are_batches(complete: bool) -> None:
    one = hit(windows((tensor("string", None),), {"shift": 26}, {"drop_remainder": complete}))
    whole = {"drop_remainder": True} if complete else {}
    assert one.edits == (ReplaceStages(("stages.0", "stages.1"), (NewStage("batch", {"batch_size": 26, **whole}),)),)
    assert one.title == "Replace windows with batches"
    assert one.evidence["windows_at_a_time"] == 1


def test_large_windows_are_cut_fewer_at_a_time() -> None:
    assert hit(windows(bytes_per_element=100_000.0)).evidence["windows_at_a_time"] == 40


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(windows(batch={"drop_remainder": False}, window={"drop_remainder": True}), id="dropped before"),
        pytest.param(windows(PAIR), id="two components"),
    ],
)
def test_complete_windows_of_fixed_shape(view: PipelineView) -> None:
    assert hit(view)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(windows(batch={"drop_remainder": False}), id="the last windows are smaller"),
        pytest.param(windows(batch={"batch_size": 13}), id="two elements of each window"),
        pytest.param(windows((tensor("float32", None),)), id="elements of any length"),
        pytest.param(windows((tensor("string"),)), id="texts of any length"),
        pytest.param(windows(function=function("StridedSlice")), id="its function computes"),
        pytest.param(windows(function=None), id="its function is not known"),
        pytest.param(windows(PAIR, keys=("0.a", "0.b"), written={}), id="a structure of two levels"),
        pytest.param(windows(PAIR, inside=(ONE_BATCH,)), id="one of two components"),
        pytest.param(windows(bytes_per_element=1e6), id="large windows"),
        pytest.param(windows(ms=0.01, inside=()), id="no time in them"),
        pytest.param(windows(inside=(ONE_BATCH, stage("stages.1.stages.0", "map"))), id="a map inside"),
    ],
)
def test_windows_that_are_left_alone(view: PipelineView) -> None:
    with bar_to_try():
        assert not found("windows-one-by-one", view)


def test_nothing_is_said_without_a_try() -> None:
    assert "windows-one-by-one" not in {finding.rule for finding in advise(windows())[0]}


PYTHON = {
    "a dict": (
        windows(PAIR, keys=("x", "y")),
        "    return {key: tf.signal.frame(one, 26, 1, axis=0) for key, one in parts.items()}",
    ),
    "a tuple": (windows(PAIR), "    return tuple(tf.signal.frame(one, 26, 1, axis=0) for one in parts)"),
    "a tensor": (windows(window={"stride": 2}), "    return tf.signal.frame(one, 51, 1, axis=0)[:, ::2]"),
}


@pytest.mark.parametrize("name", PYTHON)
def test_the_python_has_the_structure_of_the_elements(name: str) -> None:
    view, line = PYTHON[name]
    by_hand = hit(view).by_hand
    assert by_hand is not None
    assert line in getattr(by_hand, "python", "").splitlines()


def test_windows_over_an_array_are_taken_by_the_batch(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import tensorflow as tf\ndataset = tf.data.Dataset.from_tensor_slices(series / 2).window(26)\n")
    view = windows(ms=1.2)
    at = Location(file=str(file), line=2, column=1)
    view = replace(view, stages=tuple(replace(one, location=at) if one.id == "source" else one for one in view.stages))
    with bar_to_try():
        (hit,) = found("windows-from-array", view)
    code = getattr(hit.by_hand, "python", "")
    assert code.splitlines() == [
        "rows = tf.constant(series / 2)  # line 2",
        "dataset = tf.data.Dataset.range(0, len(rows) - 25).batch(batch_size=32)"
        ".map(lambda i: tf.gather(rows, i[:, None] + tf.range(26, dtype=i.dtype)), num_parallel_calls=tf.data.AUTOTUNE)"
        "  # in place of from_tensor_slices, window, flat_map and batch, mine.py:2",
    ]
    assert hit.semantics == "same"
    assert hit.edits[0].stages == ("stages.0", "stages.1")  # type: ignore[union-attr]
    assert "opens a dataset for each of 32 windows per batch" in (hit.sentence or "")


@pytest.mark.parametrize(
    "view", [windows(PAIR, keys=("0", "1")), windows(window={"shift": 26})], ids=["several components", "batches"]
)
def test_windows_that_no_gather_takes(view: PipelineView) -> None:
    with bar_to_try():
        assert not found("windows-from-array", view)
