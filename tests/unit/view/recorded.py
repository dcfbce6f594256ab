"""Views of recorded pipelines, for tests of rules: see ``tests/recorded/advice_pipelines.py``."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from unit.view.views import same

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.document.memory import Device, Memory, Throughput
from pipeprof.profiles.document.profile import Host, Profile, Target, Tool
from pipeprof.profiles.document.shared import Contention, Dispatch, Steps
from pipeprof.profiles.document.stages import Headspace
from pipeprof.profiles.time.stage_table import explain_stages
from pipeprof.profiles.view.from_graph import view_of_graphs
from pipeprof.profiles.view.view import MeasuredFacts, PipelineView

GRAPHS = Path(__file__).parents[2] / "recorded" / "graphs"
NAMES = sorted(path.stem for path in GRAPHS.glob("*.json") if path.stem != "errors")


def recorded_view(
    name: str,
    *,
    wait_share: float = 1.0,
    headspace: float | None = 0.9,
    dispatch: Dispatch | None = None,
    facts: MeasuredFacts | None = None,
    cores: float = 2.0,
    baseline_bytes: int | None = 400 * 1024**2,
    peak_bytes: int | None = 600 * 1024**2,
    memory_limit_bytes: int | None = None,
) -> PipelineView:
    """The recorded pipeline ``name`` as it ran, drained without a step; the other facts are said to be so.

    Args:
        headspace: Share of the time that could be won at most; ``None`` where it was not measured.
        facts: Named measurements; by default CPU time and contention as recorded.
    """
    recorded = json.loads((GRAPHS / f"{name}.json").read_text(encoding="utf-8"))
    batches, seconds = recorded["batches"], recorded["seconds"]
    used, waited = recorded.get("worker_cores"), recorded.get("runnable_wait_share")
    stages, _ = explain_stages(
        StageGraphs.of(recorded["written"], recorded["executed"], by_address=recorded["by_address"]),
        segments=list(pairwise(recorded["snapshots"])),
        batches=batches,
    )
    interval = 1000 * seconds / batches
    wait = wait_share * interval
    profile = Profile(
        tool=Tool(version="0"),
        target=Target(kind="spec" if recorded["by_address"] else "function", text="pipeline.py:make"),
        complete=True,
        exit_code=0,
        host=Host(system="Linux", machine="x86_64", cores=cores, memory_limit_bytes=memory_limit_bytes),
        throughput=Throughput(batches_per_second=batches / seconds),
        steps=Steps(
            count=batches,
            dispatch=dispatch,
            seconds=seconds,
            interval_ms=same(interval),
            wait_ms=same(wait),
            fetch_ms=same(wait),
            busy_ms=None if dispatch is None else same(interval - wait),
            wait_share=wait_share,
        ),
        device=Device(kind="none" if dispatch is None else "simulate"),
        memory=Memory(baseline_bytes=baseline_bytes, peak_bytes=peak_bytes),
        stages=stages,
        headspace=None if headspace is None else Headspace.of(interval, interval * (1 - headspace), 4),
        contention=Contention(worker_cores=used, runnable_wait_share=waited),
    )
    return view_of_graphs(
        StageGraph.from_dict(recorded["written"]),
        StageGraph.from_dict(recorded["executed"]),
        stages,
        by_address=recorded["by_address"],
        cores=cores,
        memory_limit=memory_limit_bytes,
        profile=profile,
        facts=facts or MeasuredFacts(worker_cores=used, runnable_wait_share=waited),
    )
