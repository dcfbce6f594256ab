"""Each kind of change of a function, of a script and of a spec, in what runs and in the text of the user's file: the
pipeline as if it had been written so.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from integration.changed_datasets import BUILDING, first

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.changes.in_calls import apply_changes
from pipeprof.pipelines.changes.in_source import change_source
from pipeprof.pipelines.changes.in_spec_text import apply_to_text
from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.graph.observe.reading import read_written
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.spec.operations import placed
from pipeprof.pipelines.spec.yaml_text import read
from pipeprof.pipelines.static.python_text import CannotChangeSourceError, RecordedCall
from pipeprof.profiles.worker.pipeline import call_target

pytestmark = pytest.mark.usefixtures("without_autograph")


@dataclass(frozen=True)
class Made:
    """The dataset of a file, and the ops of a spec by address."""

    file: Path
    dataset: Any
    watch: CallWatch
    ops: dict[str, str] | None = None


TEXT = """\
import tensorflow as tf


def plus(x):
    return x + 1


def large(x):
    return x > 4


def pipeline():
    return tf.data.Dataset.range(12).map(plus).filter(large).skip(1).batch(2)
"""
SPEC = """\
version: 1
source: {range: {stop: 12}}
stages:
  - map: {ops: [{tf.add: {y: 1}}]}
  - filter: {ops: [{tf.math.greater: {y: 4}}]}
  - skip: {count: 1}
  - batch: {batch_size: 2}
"""


def of_function(folder: Path, text: str = TEXT) -> Made:
    file = folder / "made.py"
    file.write_text(text, encoding="utf-8")
    called = call_target(f"{file}:pipeline")
    return Made(file, called.dataset, called.watch)


def of_script(folder: Path, text: str = f"{TEXT}\n\ndataset = pipeline()\n") -> Made:
    file = folder / "train.py"
    file.write_text(text, encoding="utf-8")
    with CallWatch() as watch:
        found = runpy.run_path(str(file))
    return Made(file, found["dataset"], watch)


def of_spec(folder: Path, text: str = SPEC) -> Made:
    file = folder / "spec.yaml"
    file.write_text(text, encoding="utf-8")
    data = read(text).data
    with CallWatch() as watch:
        dataset = build(data, BuildContext(base_dir=folder))
    return Made(file, dataset, watch, {one.address: one.op for one in placed(data)})


def text_with(made: Made, changes: Sequence[PipelineEdit]) -> str:
    """The text of a file with changes."""
    text = made.file.read_text(encoding="utf-8")
    if made.ops is not None:
        return apply_to_text(text, changes)
    written = read_written(made.dataset, in_memory=0)
    places = made.watch.lines.places(made.dataset, written)
    calls: dict[str, tuple[str, RecordedCall | None]] = {}
    for stage in StageGraph.from_dict(written).stages():
        place = next(places[node] for node in reversed(stage.nodes) if node in places)
        call = RecordedCall(place["file"], place["line"], place["column"], place["call"] or stage.op)
        calls[stage.address] = stage.op, call
    return change_source({str(made.file): text}, calls, [changes], "pipeline").texts[str(made.file)]


def plus(x: Any) -> Any:
    return x + 1


def large(x: Any) -> Any:
    return x > 4


NUMBERS = tf.data.Dataset.range(12)
KINDS: dict[str, tuple[list[PipelineEdit], Callable[[], Any]]] = {
    "set an argument": (
        [SetArgument("stages.0", "map", "num_parallel_calls", 2)],
        lambda: NUMBERS.map(plus, num_parallel_calls=2).filter(large).skip(1).batch(2),
    ),
    "set an option": ([SetOption("deterministic", False)], lambda: NUMBERS.map(plus).filter(large).skip(1).batch(2)),
    "insert": (
        [InsertStage("take", {"count": 3}, "stages.1")],
        lambda: NUMBERS.map(plus).filter(large).take(3).skip(1).batch(2),
    ),
    "insert at the end": (
        [InsertStage("prefetch", {"buffer_size": 2})],
        lambda: NUMBERS.map(plus).filter(large).skip(1).batch(2).prefetch(2),
    ),
    "move": ([MoveStage("stages.2", "skip", "stages.1")], lambda: NUMBERS.map(plus).skip(1).filter(large).batch(2)),
    "remove": ([ReplaceStages(("stages.2",))], lambda: NUMBERS.map(plus).filter(large).batch(2)),
    "replace": (
        [
            ReplaceStages(
                ("stages.2", "stages.3"), (NewStage("repeat", {"count": 2}), NewStage("batch", {"batch_size": 4}))
            )
        ],
        lambda: NUMBERS.map(plus).filter(large).repeat(2).batch(4),
    ),
    "replace the source": (
        [ReplaceStages(("source",), (NewStage("range", {"stop": 9}),))],
        lambda: tf.data.Dataset.range(9).map(plus).filter(large).skip(1).batch(2),
    ),
    "map on whole batches": (
        [ReplaceStages(("stages.1",)), VectoriseMap("stages.0", "stages.3")],
        lambda: NUMBERS.skip(1).batch(2).map(plus),
    ),
    "set a variable of the process": (
        [SetEnvironment("MALLOC_ARENA_MAX", "2")],
        lambda: NUMBERS.map(plus).filter(large).skip(1).batch(2),
    ),
}


def ops_of(dataset: Any) -> list[str]:
    return [stage.op for stage in StageGraph.from_dict(read_written(dataset, in_memory=0)).stages()]


BY_HAND = {"replace", "replace the source", "set a variable of the process"}
"""Changes that have no place in the text of Python."""


@pytest.mark.parametrize("make", [of_function, of_script, of_spec])
@pytest.mark.parametrize("kind", KINDS)
def test_a_change_gives_what_is_written_by_hand(kind: str, make: Callable[..., Made], tmp_path: Path) -> None:
    changes, by_hand = KINDS[kind]
    made, expected = make(tmp_path), by_hand()
    with made.watch:
        ways = [apply_changes(made.dataset, [changes], made.watch.calls, BUILDING, ops=made.ops)]
    if make is not of_spec and kind in BY_HAND:
        with pytest.raises(CannotChangeSourceError):
            text_with(made, changes)
    else:
        (tmp_path / "after").mkdir()
        ways.append(make(tmp_path / "after", text_with(made, changes)).dataset)
    for found in ways:
        assert first(found) == first(expected)
        assert ops_of(found) == ops_of(expected)
        assert found.element_spec == expected.element_spec
        assert found.options().deterministic is (False if kind == "set an option" else None)
