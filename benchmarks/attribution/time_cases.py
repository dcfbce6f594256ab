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

How the CPU time is accounted for is recorded (`accounted`: stages, loop and pipeprof over the process's CPU time),
nothing is claimed of it: a runtime that uses time is no error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PIPEPROF = (sys.executable, "-c", "from pipeprof.cli.main import main; main()")
SHARE_WITHIN = 0.10
WINDOW_BELOW = 0.01
SECONDS = 5
PATIENCE = 110
CASES = (
    "chain",
    "two_ops_in_one",
    "same_names",
    "python_and_op",
    "eager_python_and_op",
    "generator_and_op",
    "waiting_and_op",
    "interleaved",
    "flattened",
    "fused",
    "zipped",
    "per_batch",
    "refilled",
    "refilled_by_generator",
    "refilled_cache",
    "filled_cache",
)


def measure(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The truth by stage, and the profile."""
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder, "truth.json")
        options = f"--step none --seconds {SECONDS} --json --quiet"
        done = subprocess.run(
            [*PIPEPROF, "run", f"{HERE / 'time_pipelines.py'}:planted", *options.split()],
            env=os.environ | {"PIPEPROF_BENCHMARK": name, "PIPEPROF_BENCHMARK_TRUTH": str(truth)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        return json.loads(truth.read_text(encoding="utf-8")), json.loads(done.stdout)


def judge(truth: dict[str, Any], profile: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was planted and found, and which of the claims hold."""
    total = sum(stage["calls"] * stage["unit_ms"] for stage in truth.values())
    shares = {name: stage["calls"] * stage["unit_ms"] / total for name, stage in truth.items()}
    found = {stage["name"] or stage["id"]: stage for stage in profile["stages"]}
    measured = {name: stage["share"] or 0.0 for name, stage in found.items()}
    off = {name: measured.get(name, 0.0) - shares.get(name, 0.0) for name in {*measured, *shares}}
    ops = {name: _first(found.get(name), "ops", "op") for name in truth}
    functions = {name: _first(found.get(name), "python", "function") for name, one in truth.items() if "python" in one}
    cpu = profile["cpu"]
    parts = cpu["stages_ms"] + (cpu["loop_ms"] or 0.0) + (cpu["pipeprof_ms"] or 0.0)
    figures = {
        "shares_true": {name: round(share, 4) for name, share in shares.items()},
        "shares_measured": {name: round(measured.get(name, 0.0), 4) for name in shares},
        "largest_error": round(max(map(abs, off.values())), 4),
        "top_stage": max(measured, key=lambda name: measured[name]),
        "top_stage_true": max(shares, key=lambda name: shares[name]),
        "top_ops": ops,
        "python": functions,
        "accounted": round(parts / cpu["total_ms"], 4),
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


def run_case(name: str) -> dict[str, Any]:
    """Figures, claims and raw values of one case; prints a line."""
    truth, profile = measure(name)
    figures, claims = judge(truth, profile)
    broken = [claim for claim, holds in claims.items() if not holds]
    pairs = ", ".join(
        f"{one} {figures['shares_measured'][one]:.0%} (true {share:.0%})"
        for one, share in figures["shares_true"].items()
    )
    print(f"{name}: {pairs}; {'DOES NOT HOLD: ' + ', '.join(broken) if broken else 'holds'}", flush=True)
    raw = {"truth": truth, **{key: profile[key] for key in ("stages", "cpu", "ceiling", "contention", "warnings")}}
    return {"figures": figures | {"claims": claims, "holds": not broken}, "raw": raw}
