"""Pipelines as large code bases have them (`deep_pipelines.py`): whether the verdict names the stage that costs most.

What is held against the profile of each:

* ``share``: the stages of the function that costs most have a share of the CPU time within 0.10 of what a plain loop
  takes less where it does nothing, the calls of a function that does nothing included: both are measured;
* ``top_function``: of all functions, each with its stages together, that one has the most work;
* ``top_stage``: the verdict's stage, or else the one with the most work, is of the function that costs most;
* ``threads``: no stage takes more time than its threads have, and all together no more CPU time than the process;
* ``computes``: a pipeline that computes on a core or more is not said to wait.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from planted import Plan

SHARE_WITHIN = 0.10
SECONDS = 8
CASES = ("mixture", "trajectories")


def judge(truth: dict[str, Any], profile: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was planted and found, and which of the claims hold."""
    stages, verdict, interval = profile["stages"], profile["verdict"], profile["steps"]["interval_ms"]["mean"]
    named = next((one for one in stages if one["id"] == verdict["stage"]), None)
    shares: dict[str, float] = defaultdict(float)
    for stage in stages:
        shares[_function(stage)] += stage["share"] or 0.0
    top = max(shares, key=lambda name: shares[name])
    calls = max(0.0, truth["idle_ms"] - truth["without_ms"])
    true = (truth["whole_ms"] - truth["without_ms"] + calls) / truth["whole_ms"]
    share = shares[truth["costly"]]
    waits = verdict["limit"] in ("io", "latency")
    figures = {
        "true": {"costly": truth["costly"], "share": round(true, 3), "cpu_ms": round(truth["whole_ms"], 3)},
        "named": (named["name"] or named["op"]) if named is not None else None,
        "most_work": top,
        "share": round(share, 3),
        "limit": verdict["limit"],
        "cores": profile["causes"]["worker_cores"],
    }
    claims = {
        "share": abs(share - true) <= SHARE_WITHIN,
        "top_function": top == truth["costly"],
        "top_stage": _function(named or max(stages, key=lambda one: one["share"] or 0.0)) == truth["costly"],
        "threads": all(_within(one, interval) for one in stages)
        and sum(one["cpu_ms_per_batch"] or 0.0 for one in stages) <= profile["cpu"]["total_ms"] * 1.001,
        "computes": not (waits and (profile["causes"]["worker_cores"] or 0.0) >= 1.0),
    }
    return figures, claims


def _function(stage: dict[str, Any]) -> str:
    """The name of a stage without the number of its source; the address of one without a name."""
    return str(stage["name"]).rstrip("0123456789").rstrip("_") if stage["name"] else str(stage["id"])


def _within(stage: dict[str, Any], interval: float) -> bool:
    inside, threads = stage["time_ms_per_batch"], stage.get("threads")
    return inside is None or threads is None or inside <= threads * interval * 1.001


PLAN = Plan("deep", SECONDS, judge, str, ("stages", "cpu", "verdict", "contention", "warnings"))
run_case = PLAN.run
