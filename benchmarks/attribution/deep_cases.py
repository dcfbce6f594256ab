"""Pipelines as large code bases have them (`deep_pipelines.py`): whether the verdict names the stage that costs most.

What is held against the profile of each:

* ``top_stage``: the verdict's stage, or else the stage with the most work, is the one that costs most, by a plain loop;
* ``threads``: no stage takes more time than its threads have, and all together no more CPU time than the process;
* ``computes``: a pipeline that computes on a core or more is not said to wait.

The share of that function's stages in the work is recorded beside its true one, and nothing is claimed of it: without
it other stages get other elements.
"""

from __future__ import annotations

from typing import Any

import planted

SECONDS = 8
CASES = ("mixture", "trajectories")


def judge(truth: dict[str, Any], profile: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was planted and found, and which of the claims hold."""
    stages, verdict, interval = profile["stages"], profile["verdict"], profile["steps"]["interval_ms"]["mean"]
    named = next((one for one in stages if one["id"] == verdict["stage"]), None)
    costly = [one for one in stages if (one["name"] or "").startswith(truth["costly"])]
    top = named or max(stages, key=lambda one: one["share"] or 0.0)
    true = 1 - truth["without_ms"] / truth["whole_ms"]
    share = sum(one["share"] or 0.0 for one in costly)
    waits = verdict["limit"] in ("io", "latency")
    figures = {
        "true": {"costly": truth["costly"], "share": round(true, 3), "cpu_ms": round(truth["whole_ms"], 3)},
        "named": named["name"] if named is not None else None,
        "most_work": top["name"],
        "share": round(share, 3),
        "limit": verdict["limit"],
        "sentence": verdict["sentence"],
        "stages": len(stages),
        "unknown": sum(one["time_ms_per_batch"] is None and one["fused_with"] is None for one in stages),
        "cores": profile["causes"]["worker_cores"],
    }
    claims = {
        "top_stage": top in costly,
        "threads": all(_within(one, interval) for one in stages)
        and sum(one["cpu_ms_per_batch"] or 0.0 for one in stages) <= profile["cpu"]["total_ms"] * 1.001,
        "computes": not (waits and (profile["causes"]["worker_cores"] or 0.0) >= 1.0),
    }
    return figures, claims


def _within(stage: dict[str, Any], interval: float) -> bool:
    inside, threads = stage["time_ms_per_batch"], stage.get("threads")
    return inside is None or threads is None or inside <= threads * interval * 1.001


def run_case(name: str) -> dict[str, Any]:
    """Figures, claims and raw values of one case; prints a line."""
    return planted.run("deep", name, SECONDS, judge, str, ("stages", "cpu", "verdict", "contention", "warnings"))
