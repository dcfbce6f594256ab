"""A plan applied in a user's script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tensorflow as tf

import pipeprof
from pipeprof.pipelines.edits.edits import InsertStage, SetArgument, VectoriseMap
from pipeprof.pipelines.edits.plan import PlanError, SavedPlan, write_plan
from pipeprof.pipelines.graph.edit.editable import EditableGraph
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.round_trip import editable

pytestmark = pytest.mark.usefixtures("without_autograph")

STAGES = {"source": "range", "stages.0": "map", "stages.1": "batch"}


def plan(folder: Path, *edits: object, stages: dict[str, str] | None = None, then: tuple[object, ...] = ()) -> Path:
    path = folder / "fast.plan.json"
    path.write_text(write_plan(SavedPlan("input.py:make", stages or STAGES, (edits, *then) if edits else ())))  # type: ignore[arg-type]
    return path


def make() -> tf.data.Dataset:
    return tf.data.Dataset.range(40).map(lambda number: tf.one_hot(number % 4, 4)).batch(8)


def values(dataset: tf.data.Dataset) -> list[list[list[float]]]:
    return [batch.tolist() for batch in dataset.as_numpy_iterator()]


def test_the_dataset_has_the_edits_and_the_same_elements(tmp_path: Path) -> None:
    path = plan(tmp_path, VectoriseMap("stages.0", "stages.1"), InsertStage("prefetch", {"buffer_size": 2}, None))
    fast = pipeprof.apply(make(), path)
    assert values(fast) == values(make())
    assert fast.element_spec == make().element_spec
    with pytest.raises(PlanError, match=r"stages.0 is batch, the plan has map"):
        pipeprof.apply(fast, path)


def test_the_addresses_of_a_step_are_those_of_the_pipeline_that_the_step_before_made(tmp_path: Path) -> None:
    later = ((SetArgument("stages.1", "map", "num_parallel_calls", 2),), (VectoriseMap("stages.1", "stages.2"),))
    path = plan(tmp_path, InsertStage("prefetch", {"buffer_size": 2}, "source"), then=later)
    fast = pipeprof.apply(make(), path)
    assert values(fast) == values(make())
    stages = editable(fast, in_memory=0).read().stages()
    assert [stage.op for stage in stages][:4] == ["range", "prefetch", "batch", "map"]


def test_a_plan_without_edits_gives_the_dataset_itself(tmp_path: Path) -> None:
    dataset = make()
    assert pipeprof.apply(dataset, str(plan(tmp_path))) is dataset


def test_another_pipeline_is_refused(tmp_path: Path) -> None:
    other = tf.data.Dataset.range(40).map(lambda number: number + 1).shuffle(4)
    with pytest.raises(PlanError, match=r"made for another pipeline \(input.py:make\): stages.1 is shuffle"):
        pipeprof.apply(other, plan(tmp_path, VectoriseMap("stages.0", "stages.1")))
    with pytest.raises(PlanError, match="cannot be read"):
        pipeprof.apply(make(), tmp_path / "missing.plan.json")


def test_of_a_source_with_thousands_of_tensors_the_graph_is_not_read_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tf.data.experimental.from_list([(number, [str(number)] * 5) for number in range(2000)]).batch(2)
    read: list[int] = []
    monkeypatch.setattr(EditableGraph, "read", lambda *_: read.append(1))
    assert len(editable(dataset, in_memory=0).nodes) > 2000
    assert not read


def test_a_training_reads_the_variable_that_it_assigns(tmp_path: Path) -> None:
    weight = tf.Variable(2.0)
    dataset = tf.data.Dataset.range(4).map(lambda number: tf.cast(number, tf.float32) * weight).batch(2)
    fast = pipeprof.apply(dataset, plan(tmp_path, InsertStage("prefetch", {"buffer_size": 1})))
    weight.assign(3.0)
    assert [batch.numpy().tolist() for batch in fast] == [[0.0, 3.0], [6.0, 9.0]]


def test_state_that_a_function_changes_is_named(tmp_path: Path) -> None:
    count = tf.Variable(0, dtype=tf.int64, name="count")
    dataset = tf.data.Dataset.range(4).map(count.assign_add)
    message = "stages.0: its function assign_add changes the tf.Variable 'count' (AssignAddVariableOp)"
    with pytest.raises(CannotEditError, match=re.escape(message)):
        pipeprof.apply(dataset, plan(tmp_path, InsertStage("prefetch", {"buffer_size": 1})))
