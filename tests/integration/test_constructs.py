"""However datasets are put together: every stage has its elements, its number, its line and its iterators."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.graph.align import StageGraphs, match
from pipeprof.pipelines.graph.costs.snapshots import take_snapshot
from pipeprof.pipelines.graph.observe import reading
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness.received import locate
from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.time.stage_table import explain_stages
from pipeprof.profiles.view.from_graph import ParsedGraphs
from pipeprof.profiles.worker.pipeline import call_target

CONSTRUCTS = Path(__file__).parent / "pipelines_of_users" / "constructs.py"
NAMES = [
    line[4:].partition("(")[0]
    for line in CONSTRUCTS.read_text().splitlines()
    if line.startswith("def ") and not line.startswith("def _")
]
UNKNOWN = -2
INSIDE = "stays serial: TensorFlow makes nothing parallel inside a function"


@dataclass(frozen=True)
class Ran:
    dataset: Any
    graphs: reading.ObservedGraphs
    stages: dict[str, Stage]
    unattributed: list[str]


@functools.cache
def ran(name: str) -> Ran:
    """The stages of a pipeline that has run to its end twice, by snapshots after every few elements."""
    called = call_target(f"{CONSTRUCTS}:{name}")
    snapshots, lost = [], []
    for _ in range(2):
        iterator, segment = iter(called.dataset), []
        for number, _ in zip(range(12), iterator, strict=False):
            raw = take_snapshot(iterator) if number % 3 == 0 else None
            if raw is not None:
                segment.append(raw.to_dict())
        snapshots += pairwise(segment)
    graphs = reading.read_graphs(called.dataset, in_memory=0, watch=called.watch)
    executed = StageGraph.from_dict(graphs.executed)
    for _, last in snapshots:
        names = {node["id"]: node["name"] for node in last["nodes"]}
        lost += [names[one] for one in match(executed, last).unattributed]
    rows, _ = explain_stages(
        StageGraphs.of(graphs.written, graphs.executed, by_address=False), segments=snapshots, batches=12
    )
    locate(rows, ParsedGraphs.of(Graphs(graphs.written, graphs.executed, places=graphs.places)))
    return Ran(called.dataset, graphs, {row.id: row for row in rows}, lost)


def last_of(stages: dict[str, Stage]) -> Stage:
    return [stage for stage in stages.values() if stage.origin == "written" and not stage.depth][-1]


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_has_its_elements_its_line_and_its_iterators(name: str) -> None:
    found = ran(name)
    assert found.unattributed == []
    for stage in found.stages.values():
        assert stage.element_spec, stage.id
        assert stage.origin == "injected" or (stage.location and stage.location.file == str(CONSTRUCTS)), stage.id
        assert not (stage.executed or "").startswith("removed"), stage.id
    last = last_of(found.stages)
    leaves = [
        (one.dtype.name, None if one.shape.rank is None else one.shape.as_list())
        for one in _flat(found.dataset.element_spec)
    ]
    told = [(one.dtype, one.shape) for one in last.element_spec]
    assert [dtype for dtype, _ in told] == [dtype for dtype, _ in leaves]
    shapes = [(shape, real) for (_, shape), (_, real) in zip(told, leaves, strict=True) if real is not None]
    assert [None if shape is None else len(shape) for shape, _ in shapes] == [len(real) for _, real in shapes]
    assert all(size in (None, one) for shape, real in shapes for one, size in zip(shape, real, strict=True))


def _flat(spec: Any) -> list[Any]:
    import tensorflow as tf

    return tf.nest.flatten(spec)


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("bucketed", ["map", *["bucket_by_sequence_length"] * 2]),
        ("applied", ["map", "by_length", "by_length", "unbatch", *["dense_to_ragged_batch"] * 2, "map"]),
        ("promised", ["filter", "assert_cardinality", "batch"]),
    ],
)
def test_what_the_user_calls_is_told_beside_the_stages_it_becomes(name: str, calls: list[str]) -> None:
    # Python 3.10 does not tell which call of a line it is in.
    told = [stage.location.call for stage in ran(name).stages.values() if stage.origin == "written"][1:]
    assert told == (calls if sys.version_info >= (3, 11) else [None] * len(calls))


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_elements_is_that_of_tensorflow_where_it_knows_one(name: str) -> None:
    found = ran(name)
    told, known = last_of(found.stages).cardinality, int(found.dataset.cardinality())
    if told is None or told == INFINITE:
        assert known == (UNKNOWN if told is None else INFINITE)
    else:
        assert told == sum(1 for _ in found.dataset)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zipped", {"source.inputs.1.stages.0": "stays serial: stateful op RandomUniform"}),
        ("grouped", {"stages.0.source": f"fused with batch, {INSIDE}", "stages.0.stages.0": "fused with map"}),
        ("captured", {"stages.0.source.inputs.1.stages.0": INSIDE}),
        ("cached", {"stages.2": "fused with repeat", "stages.3": "fused with shuffle"}),
        ("snapshotted", {"stages.1": None}),
        ("without_autotune", {"stages.0": "runs as written because autotune is off", "stages.1": None}),
    ],
)
def test_what_tensorflow_made_of_it(name: str, words: dict[str, str | None]) -> None:
    found = ran(name).stages
    assert {address: found[address].executed for address in words} == words


def test_prefetch_is_injected_at_the_end_and_threads_are_the_pools() -> None:
    stages = ran("with_options").stages
    assert (stages["injected.0"].executed or "").startswith("prefetch injected, buffer tuned to ")
    assert (stages["stages.0"].executed or "").startswith("made parallel")
    assert "injected.0" not in ran("without_autotune").stages


def test_a_dataset_used_twice_stands_there_twice_and_two_equal_maps_are_two() -> None:
    twice = ran("twice").stages
    left, right = twice["source.inputs.0.stages.0"], twice["source.inputs.1.stages.0"]
    assert (left.op, left.location) == (right.op, right.location) == ("map", left.location)
    maps = [stage for stage in ran("two_maps").stages.values() if stage.op == "map"]
    assert [stage.id for stage in maps] == ["stages.0", "stages.1"]
    assert all(stage.elements for stage in maps)


def structure(stages: dict[str, Stage]) -> list[tuple[Any, ...]]:
    return [
        (one.id, one.op, one.name, one.tf_op, (one.executed or "").partition(" (")[0], one.location, one.cardinality)
        for one in stages.values()
    ]


def test_what_cannot_be_written_down_is_read_over_a_source_of_one_element() -> None:
    whole = ran("in_memory")
    called = call_target(f"{CONSTRUCTS}:in_memory")
    held = 2000 * (8 * 4 + 8)
    graphs = reading.read_graphs(called.dataset, in_memory=held, room=held, watch=called.watch)
    assert graphs.stands_for == held
    rows, _ = explain_stages(StageGraphs.of(graphs.written, graphs.executed, by_address=False), batches=0)
    locate(rows, ParsedGraphs.of(Graphs(graphs.written, graphs.executed, places=graphs.places)))
    small = {row.id: row for row in rows}
    assert [one[:4] for one in structure(small)] == [one[:4] for one in structure(whole.stages)]
    assert [one[5:] for one in structure(small)] == [one[5:] for one in structure(whole.stages)]
    sources = [node for node in graphs.written["nodes"] if node["op"] == "TensorSliceDataset"]
    assert [(node["length"], node["held_bytes"]) for node in sources] == [(2000, held)] * len(sources)
    assert graphs.note is not None
    assert "without these arrays" in graphs.note


def test_where_that_cannot_be_the_stages_are_unread() -> None:
    called = call_target(f"{CONSTRUCTS}:in_memory_once")
    graphs = reading.read_graphs(called.dataset, in_memory=64_000, room=64_000, watch=called.watch)
    assert graphs.written["root"] is None
    rows, notes = explain_stages(StageGraphs.of(graphs.written, graphs.executed), batches=40)
    assert (rows, [note.code for note in notes]) == ([], ["stages-unread"])
