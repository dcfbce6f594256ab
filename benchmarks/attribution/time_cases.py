"""Planted costs: whether ``pipeprof run`` finds which stage and which op the time goes to.

Twelve pipelines (`time_pipelines.py`) do units of work whose cost is measured alone in the same process: CPU time of
TensorFlow ops and of Python, and time by the clock of a sleep. A stage's true share is its calls per batch times the
cost of a call, over the sum of all stages; stages with nothing planted in them have none. Every pipeline is profiled
for five seconds without a step. Four more (`refilled` and what follows) begin again and again: most of their stages run
in one burst at the beginning of an epoch, below a shuffle that holds all of it. What is held against that:

* ``shares``: every stage's share is within 0.10 of the truth, also those with nothing planted;
* ``top_stage``: the stage with the largest share is the one with the largest true share;
* ``top_op``: in every planted stage the costliest op is the one that was planted as the costliest;
* ``python``: in every planted stage that runs Python, the costliest function is the planted one;
* ``window``: bookkeeping in the measured window takes less than 1 % of it, by the clock: what attribution needs besides
  (the trace and both samplers) runs after it.
"""

from __future__ import annotations

from typing import Any

from planted import Plan

SHARE_WITHIN = 0.10
WINDOW_BELOW = 0.01
SECONDS = 5
CASES = (
    "chain", "two_ops_in_one", "same_names", "python_and_op", "eager_python_and_op", "generator_and_op",
    "waiting_and_op", "interleaved", "flattened", "fused", "zipped", "per_batch", "refilled", "refilled_by_generator",
    "refilled_cache", "filled_cache",
)  # fmt: skip


def judge(truth: dict[str, Any], profile: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was planted and found, and which of the claims hold."""
    total = sum(stage["calls"] * stage["unit_ms"] for stage in truth.values())
    shares = {name: stage["calls"] * stage["unit_ms"] / total for name, stage in truth.items()}
    found = {stage["name"] or stage["id"]: stage for stage in profile["stages"]}
    measured = {name: stage["share"] or 0.0 for name, stage in found.items()}
    off = {name: measured.get(name, 0.0) - shares.get(name, 0.0) for name in {*measured, *shares}}
    ops = {name: _first(found.get(name), "ops", "op") for name in truth}
    functions = {name: _first(found.get(name), "python", "function") for name, one in truth.items() if "python" in one}
    figures = {
        "shares_true": {name: round(share, 4) for name, share in shares.items()},
        "shares_measured": {name: round(measured.get(name, 0.0), 4) for name in shares},
        "largest_error": round(max(map(abs, off.values())), 4),
        "top_stage": max(measured, key=lambda name: measured[name]),
        "top_stage_true": max(shares, key=lambda name: shares[name]),
        "top_ops": ops,
        "python": functions,
        "window_share": round(profile["overhead"]["loop_share"], 5),
    }
    claims = {
        "shares": figures["largest_error"] <= SHARE_WITHIN,
        "top_stage": figures["top_stage"] == figures["top_stage_true"],
        "top_op": all(ops[name] == stage["op"] for name, stage in truth.items()),
        "python": all(functions[name] == stage["python"] for name, stage in truth.items() if "python" in stage),
        "window": figures["window_share"] < WINDOW_BELOW,
    }
    return figures, claims


def _first(stage: dict[str, Any] | None, costs: str, name: str) -> str | None:
    """What costs most inside a stage: its costs come largest first."""
    return stage[costs][0][name] if stage and stage[costs] else None


def _in_words(figures: dict[str, Any]) -> str:
    shares = figures["shares_true"].items()
    return ", ".join(f"{one} {figures['shares_measured'][one]:.0%} (true {share:.0%})" for one, share in shares)


PLAN = Plan("time", SECONDS, judge, _in_words, ("stages", "cpu", "contention", "warnings"))
run_case = PLAN.run
