"""Recorded pipelines: see ``tests/recorded/record_graphs.py``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.stage_table import explain_stages

GRAPHS = Path(__file__).parents[2] / "recorded" / "graphs"
NAMES = sorted(path.stem for path in GRAPHS.glob("*.json") if path.stem != "errors")


@dataclass(frozen=True)
class Recorded:
    by_address: bool
    batches: int
    seconds: float
    written: GraphDict
    executed: GraphDict
    snapshots: list[ModelDict]
    worker_cores: float = 0.0
    runnable_wait_share: float = 0.0

    @property
    def segments(self) -> list[tuple[ModelDict, ModelDict]]:
        return list(pairwise(self.snapshots))

    @property
    def executed_graph(self) -> StageGraph:
        return StageGraph.from_dict(self.executed)

    def explain(self, **changes: Any) -> tuple[dict[str, Stage], list[Message]]:
        arguments: dict[str, Any] = {"segments": self.segments, "batches": self.batches}
        graphs = StageGraphs.of(self.written, self.executed, by_address=self.by_address)
        stages, notes = explain_stages(graphs, **(arguments | changes))
        return {stage.id: stage for stage in stages}, notes


@pytest.fixture
def recorded() -> Callable[[str], Recorded]:
    return lambda name: Recorded(**json.loads((GRAPHS / f"{name}.json").read_text(encoding="utf-8")))


@pytest.fixture(params=NAMES)
def every(request: pytest.FixtureRequest, recorded: Callable[[str], Recorded]) -> Recorded:
    """Each recorded pipeline in turn."""
    return recorded(request.param)


def node(id: str, op: str, *inputs: str, **told: Any) -> Node:
    """A node of a graph with nothing but what is told of it; what is no field of a node is an argument of its stage."""
    known = {one.name for one in fields(Node)}
    plain: dict[str, Any] = dict.fromkeys(("name", "key", "owner", "stateful_op"))
    plain |= {"depth": 0, "functions": (), "bodies": (), "stateful": False, "files": False}
    plain |= {"arguments": {name: value for name, value in told.items() if name not in known}}
    return Node(id=id, op=op, inputs=inputs, **(plain | {name: told[name] for name in told if name in known}))


def graph(*nodes: Node) -> StageGraph:
    """The graph of nodes, the last one of which is its end."""
    return StageGraph({one.id: one for one in nodes}, nodes[-1].id)


NOTHING: ModelDict = {"output": 0, "nodes": [], "ram_budget": 0.0}


def iterator(
    id: int, name: str, *inputs: int, elements: int, held: int = 0, calls: float | None = None, ms: int = 0
) -> ModelNodeDict:
    """A node of a model; those of batches take four elements each."""
    parallelism = {"state_value": calls or 0.0, "tunable": False}
    return {
        "id": id, "name": name, "num_elements": elements, "processing_time": ms * 1_000_000, "bytes_produced": 0,
        "buffered_bytes": 0, "buffered_elements": held,
        "parameters": {"parallelism": parallelism} if calls is not None else {},  # type: ignore[typeddict-item]
        "ratio": 4.0 if name == "BatchV2" else 1.0, "inputs": list(inputs),
    }  # fmt: skip


def look(*below: ModelNodeDict, id: int = 1) -> ModelDict:
    root = iterator(id, "Root", below[0]["id"], elements=below[0]["num_elements"])
    return {"output": id, "nodes": [root, *below], "ram_budget": 0.0}
