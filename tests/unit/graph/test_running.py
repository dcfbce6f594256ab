"""The graph that the model of a running iterator tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeprof.pipelines.graph.align import match
from pipeprof.pipelines.graph.costs.unobserved import running_graph
from pipeprof.pipelines.graph.opnames import dataset_op
from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict
from pipeprof.pipelines.graph.stages import StageGraph

from .conftest import Recorded

Load = Callable[[str], Recorded]


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        ("map_batch", 0),
        ("zip", 0),
        ("sample", 0),
        ("shuffle_repeat", 0),
        ("list_files", 1),
        ("interleave", 0),
        ("nested_flat_map", 2),
        ("concatenate", 4),
    ],
)
def test_it_is_the_executed_graph_as_far_as_it_runs(recorded: Load, name: str, ended: int) -> None:
    found = recorded(name)
    running = StageGraph.from_dict(running_graph(found.snapshots))
    executed = [node.family for node in found.executed_graph.walk()]
    seen = [node.family for node in running.walk()]
    # What has ended, or has not begun, is not in the model.
    assert set(seen) <= set(executed)
    assert len(seen) >= len(executed) - ended
    fullest = max(found.snapshots, key=lambda model: len(match(running, model).places))
    assert match(running, fullest).unattributed == ()


def test_costs_are_those_of_the_graph_that_could_be_read(recorded: Load) -> None:
    found = recorded("zip")
    unread: GraphDict = {"root": None, "reason": "2.3 GB", "nodes": []}
    known, _ = found.explain()
    rows, notes = replace(found, written=unread, executed=unread).explain()
    assert sorted(round(row.share or 0, 6) for row in rows.values()) == sorted(
        round(row.share or 0, 6) for row in known.values()
    )
    assert list(rows) == [f"running.{number}" for number in range(len(rows))]
    assert [note.code for note in notes] == ["stages-unread"]
    assert notes[0].message.startswith("The graph could not be read: 2.3 GB. The stages are those that")


def test_without_a_model_there_is_none() -> None:
    assert running_graph([])["root"] is None
    empty: ModelDict = {"output": 0, "nodes": [], "ram_budget": 0}
    assert running_graph([empty])["root"] is None


@pytest.mark.parametrize(
    ("node", "op"),
    [
        ("ParallelMapV2", "ParallelMapDatasetV2"),
        ("BatchV2", "BatchDatasetV2"),
        ("ForeverRepeat", "RepeatDataset"),
        ("MemoryCache", "CacheDataset"),
        ("FromTensor", "TensorDataset"),
        ("TensorSlice", "TensorSliceDataset"),
    ],
)
def test_ops_of_nodes(node: str, op: str) -> None:
    assert dataset_op(node) == op


def test_counters_that_were_read_at_one_moment_alone_are_no_times_of_stages(recorded: Load) -> None:
    """As in a run that fails soon after its steps are measured."""
    known = recorded("map_batch")
    moment, _ = known.segments[0]
    rows, _ = known.explain(segments=[(moment, moment)], batches=8)
    found = [(row.elements, row.time_ms_per_batch, row.calls_per_batch) for row in rows.values()]
    assert found == [(None, None, None)] * 3
