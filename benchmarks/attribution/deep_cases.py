"""Pipelines as large code bases have them (`deep_pipelines.py`): whether the verdict names the stage that costs most.

What is held against the profile of each:

* ``top_stage``: the verdict's stage, or else the stage with the most work, is the one that costs most, by a plain loop;
* ``threads``: no stage takes more time than its threads have, and all together no more CPU time than the process;
* ``computes``: a pipeline that computes on a core or more is not said to wait.

The share of that function's stages in the work is recorded beside its true one, and nothing is claimed of it: without
it other stages get other elements.
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
SECONDS = 8
PATIENCE = 110
CASES = ("mixture", "trajectories")


def measure(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The truth, and the profile."""
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder, "truth.json")
        options = f"--step none --seconds {SECONDS} --json --quiet"
        done = subprocess.run(
            [*PIPEPROF, "run", f"{HERE / 'deep_pipelines.py'}:planted", *options.split()],
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
    truth, profile = measure(name)
    figures, claims = judge(truth, profile)
    broken = [claim for claim, holds in claims.items() if not holds]
    print(f"{name}: {figures}; {'DOES NOT HOLD: ' + ', '.join(broken) if broken else 'holds'}", flush=True)
    raw = {"truth": truth, **{key: profile[key] for key in ("stages", "cpu", "verdict", "contention", "warnings")}}
    return {"figures": figures | {"claims": claims, "holds": not broken}, "raw": raw}
