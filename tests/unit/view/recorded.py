"""Views of recorded pipelines, for tests of rules: see ``tests/recorded/advice_pipelines.py``."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from unit.view.views import profile_of

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.time.stage_table import explain_stages
from pipeprof.profiles.view.from_graph import view_of_graphs
from pipeprof.profiles.view.view import MeasuredFacts, PipelineView

GRAPHS = Path(__file__).parents[2] / "recorded" / "graphs"
NAMES = sorted(path.stem for path in GRAPHS.glob("*.json") if path.stem != "errors")


def recorded_view(name: str, *, facts: MeasuredFacts | None = None, **run: Any) -> PipelineView:
    """The recorded pipeline ``name`` as it ran on 2 cores, drained without a step; `run` says what was otherwise."""
    recorded = json.loads((GRAPHS / f"{name}.json").read_text(encoding="utf-8"))
    batches, seconds = recorded["batches"], recorded["seconds"]
    spent = {one: recorded.get(one) for one in ("worker_cores", "runnable_wait_share")}
    stages, _ = explain_stages(
        StageGraphs.of(recorded["written"], recorded["executed"], by_address=recorded["by_address"]),
        segments=list(pairwise(recorded["snapshots"])),
        batches=batches,
    )
    usual = {"wait_share": 1.0, "headspace": 0.9, "dispatch": None, "peak_bytes": 600 * 1024**2, "restart_share": None}
    kind = "spec" if recorded["by_address"] else "function"
    given = {"kind": kind, "cores": 2.0, "batches": batches, "contention": Contention(**spent), **usual, **run}
    return view_of_graphs(
        StageGraph.from_dict(recorded["written"]),
        StageGraph.from_dict(recorded["executed"]),
        stages,
        by_address=recorded["by_address"],
        cores=2.0,
        memory_limit=None,
        profile=profile_of(stages, 1000 * seconds / batches, **given),
        facts=facts or MeasuredFacts(**spent),
    )
