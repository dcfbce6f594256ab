"""Each kind of change of a function, of a script and of a spec: the pipeline as if it had been written so."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import tensorflow as tf
from integration.changed_datasets import BUILDING, first

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import BuiltStage, build
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveFilter,
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
from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.graph.observe.reading import read_written
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.spec.models import Spec
from pipeprof.profiles.worker.load_function import call_target

pytestmark = pytest.mark.usefixtures("without_autograph")

Made: TypeAlias = "tuple[Any, CallWatch, dict[str, str] | None]"
"""A dataset, what saw it being made, and for a spec its ops by address."""

TEXT = """\
import tensorflow as tf


def plus(x):
    return x + 1


def large(x):
    return x > 4


def pipeline():
    return tf.data.Dataset.range(12).map(plus).filter(large).skip(1).batch(2)
"""
DATA: dict[str, Any] = {
    "version": 1,
    "source": {"range": {"stop": 12}},
    "stages": [
        {"map": {"ops": [{"tf.add": {"y": 1}}]}},
        {"filter": {"ops": [{"tf.math.greater": {"y": 4}}]}},
        {"skip": {"count": 1}},
        {"batch": {"batch_size": 2}},
    ],
}


def of_function(folder: Path) -> Made:
    file = folder / "made.py"
    file.write_text(TEXT, encoding="utf-8")
    called = call_target(f"{file}:pipeline")
    return called.dataset, called.watch, None


def of_script(folder: Path) -> Made:
    file = folder / "train.py"
    file.write_text(f"{TEXT}\n\ndataset = pipeline()\n", encoding="utf-8")
    with CallWatch() as watch:
        found = runpy.run_path(str(file))
    return found["dataset"], watch, None


def of_spec(folder: Path) -> Made:
    built: dict[str, BuiltStage] = {}
    with CallWatch() as watch:
        dataset = build(Spec.model_validate(DATA), BuildContext(base_dir=folder), built)
    return dataset, watch, {address: stage.op for address, stage in built.items()}


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
    "move a filter": (
        [MoveFilter("stages.1", "stages.0")],
        lambda: NUMBERS.filter(lambda x: large(plus(x))).map(plus).skip(1).batch(2),
    ),
    "set a variable of the process": (
        [SetEnvironment("MALLOC_ARENA_MAX", "2")],
        lambda: NUMBERS.map(plus).filter(large).skip(1).batch(2),
    ),
}


def ops_of(dataset: Any) -> list[str]:
    return [stage.op for stage in StageGraph.from_dict(read_written(dataset, in_memory=0)).stages()]


@pytest.mark.parametrize("make", [of_function, of_script, of_spec])
@pytest.mark.parametrize("kind", KINDS)
def test_a_change_gives_what_is_written_by_hand(kind: str, make: Callable[[Path], Made], tmp_path: Path) -> None:
    changes, by_hand = KINDS[kind]
    dataset, watch, ops = make(tmp_path)
    with watch:
        found = apply_changes(dataset, [changes], watch.calls, BUILDING, ops=ops)
    expected = by_hand()
    assert first(found) == first(expected)
    assert ops_of(found) == ops_of(expected)
    assert found.element_spec == expected.element_spec
    assert found.options().deterministic is (False if kind == "set an option" else None)
