"""What the model says of buffers, at the stages of a recorded pipeline."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.time.test_trace_work import recorded

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.profiles.memory.buffers import map_looks
from pipeprof.profiles.protocol.messages import PipelineLook


def raw_look(model: Any, epoch: int = 0) -> PipelineLook:
    return PipelineLook(t=1.0, rss=None, live=7, phase="measure", steps=5, epoch=epoch, model=model)


def look(name: str, number: int = -1, **more: Any) -> Any:
    graph = recorded(name)
    model = graph["snapshots"][number]
    raw = raw_look(model.get("model", model), **more)
    (found,) = map_looks(StageGraphs.of(graph["written"], graph["executed"], by_address=graph["by_address"]), [raw])
    return found


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("dict_shuffle", {"injected.0": ("prefetch", 131328, 4), "stages.0": ("shuffle", 65664, 16)}),
        # Once, with its parts.
        ("cache", {"injected.0": ("prefetch", 128, 4), "stages.1": ("cache", 320, 40)}),
        # A fused map and batch stands at the map.
        ("map_batch", {"stages.0": ("parallel", 32, 1)}),
    ],
)
def test_buffers_stand_at_their_stages(name: str, held: dict[str, tuple[str, int, float]]) -> None:
    found = look(name)
    assert {at: (one.owner, one.bytes, one.elements) for at, one in found.by_stage.items()} == held
    assert found.total == sum(nbytes for _, nbytes, _ in held.values())


def test_batches_that_are_made_in_parallel_are_batches() -> None:
    graph = recorded("cast_after_batch")
    model = graph["snapshots"][-1].get("model", graph["snapshots"][-1])
    ready = {"name": "ParallelBatch", "buffered_bytes": 4096, "buffered_elements": 2}
    nodes = [{**one, **ready} if one["name"] == "BatchV2" else one for one in model["nodes"]]
    raw = raw_look({**model, "nodes": nodes})
    text = json.dumps(graph["executed"]).replace('"BatchDatasetV2"', '"ParallelBatchDataset"')
    (found,) = map_looks(StageGraphs.of(graph["written"], json.loads(text), by_address=graph["by_address"]), [raw])
    assert {(one.owner, one.bytes) for one in found.by_stage.values()} == {("batch", 4096), ("parallel", 1024)}


def test_without_graphs_there_are_no_looks() -> None:
    graph = recorded("cache")
    unread = {**graph["written"], "root": None, "nodes": [], "reason": "too large"}
    assert map_looks(StageGraphs.of(unread, graph["executed"], by_address=True), []) == []
