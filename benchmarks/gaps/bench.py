"""Planted stalls: whether ``pipeprof run`` finds the idle gaps that a schedule must leave, as long as they must be.

Usage: ``python benchmarks/gaps/bench.py --out FILE [--case NAME …]``. Every `every`-th batch comes `late_ms` after it
was asked for, all others at once; a step takes 10 ms. The host asks `dispatch` steps ahead of the device (none with
sync), and a prefetch of `p` batches asks another `p` ahead of the host. So a stall leaves the device idle for

    gap = max(0, late - (dispatch + p) * step)

and, as one stall comes with `every` steps, a share of ``gap / (every * step + gap)`` of the time.

What is held against that, and how far it may be off:

* every stall is a gap and no other is one: the gaps longer than half the planted one number exactly the steps measured
  over `every`. There are ten stalls or fewer, so that the profile lists each;
* every one of them is the pipeline's, and from one to the next it is ``every * step + gap``, give or take a tenth;
* the median gap within 1.5 ms: a stalled batch passes through Python and two wake-ups of sleeping threads, a tenth of a
  millisecond each on an idle core and up to one on a busy one;
* the share of waiting within 0.015, and the idle share within -0.015 and +0.03. They count everything: stalls that
  the machine prolongs, and every other step's fetch where it is slower than the floor. Idle is in addition what
  pipeprof and Python spend between two steps, some 0.1 ms of 10 ms under sync;
* the word of the verdict is that of the expected share (5 % and 20 %).

Where every batch is late the steps are too many to be listed: the gap is then the median of all waits.

A pipeline that is never late leaves the device idle for less than 3 %, with less than 0.5 % of waiting. Three minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PIPEPROF = (sys.executable, "-c", "from pipeprof.cli.main import main; main()")
STEP_MS = 10.0
GAP_MS = 1.5
PERIOD = 0.1
WAIT_SHARE = 0.015
IDLE_BELOW, IDLE_ABOVE = 0.015, 0.03
NEVER_IDLE, NEVER_WAITS = 0.03, 0.005
STEPS, STALLS = 400, 10
PATIENCE = 180


@dataclass(frozen=True)
class Case:
    """A schedule and how it is consumed."""

    late_ms: float
    every: int
    dispatch: str = "sync"
    prefetch: int = 0

    @property
    def gap_ms(self) -> float:
        """What a stall leaves of itself."""
        ahead = (0 if self.dispatch == "sync" else int(self.dispatch)) + self.prefetch
        return max(0.0, self.late_ms - ahead * STEP_MS)

    @property
    def share(self) -> float:
        """Of the time that the device waits."""
        return self.gap_ms / (self.every * STEP_MS + self.gap_ms)

    @property
    def bound(self) -> str:
        """The verdict's word."""
        return "step" if self.share < 0.05 else "input" if self.share >= 0.20 else "balanced"


CASES = {
    "stalls_sync": Case(80, 20),
    "stalls_1_in_flight": Case(80, 20, "1"),
    "stalls_2_in_flight": Case(80, 20, "2"),
    "stalls_sync_prefetch_2": Case(80, 20, prefetch=2),
    "stalls_2_in_flight_prefetch_2": Case(80, 20, "2", 2),
    "stalls_hidden": Case(25, 20, "1", 2),
    "rare_stalls_sync": Case(60, 40),
    "rarer_stalls_sync": Case(30, 100),
    "slow_sync": Case(15, 1),
    "slow_1_in_flight": Case(15, 1, "1"),
    "never_sync": Case(0, 1),
    "never_2_in_flight": Case(0, 1, "2"),
}


def measure(case: Case, steps: int) -> dict[str, Any]:
    """The profile of one run."""
    options = f"--step simulate:{STEP_MS:g}ms --dispatch {case.dispatch} --steps {steps}"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*PIPEPROF, "run", f"{HERE / 'pipelines.py'}:planted", *options.split(), "--json", "--quiet"],
            env=os.environ | {"PIPEPROF_BENCHMARK": json.dumps(asdict(case))},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    profile: dict[str, Any] = json.loads(done.stdout)
    return profile


def judge(case: Case, profile: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was expected and measured, and which of the claims hold."""
    steps, device = profile["steps"], profile["device"]
    gaps = device["gaps"]
    causes = gaps["by_cause"]
    figures: dict[str, Any] = {
        "steps": steps["count"],
        "wait_share": round(steps["wait_share"], 5),
        "wait_share_expected": round(case.share, 5),
        "idle_share": round(device["idle_share"], 5),
        "bound": profile["verdict"]["bound"],
        "bound_expected": case.bound,
        "python_ms_per_step": round(1e3 * causes.get("python", 0.0) / steps["count"], 4),
        "pipeprof_ms_per_step": round(1e3 * causes.get("pipeprof", 0.0) / steps["count"], 4),
    }
    claims = {"bound": figures["bound"] == case.bound}
    if not case.gap_ms:
        claims["idle_share"] = device["idle_share"] < NEVER_IDLE
        claims["wait_share"] = steps["wait_share"] < NEVER_WAITS
        return figures, claims
    stalls = gaps_longer(gaps["histogram"], case.gap_ms / 2)
    long = [gap for gap in gaps["longest"] if gap["ms"] > case.gap_ms / 2]
    median = statistics.median(gap["ms"] for gap in long) if case.every > 1 else steps["wait_ms"]["p50"]
    figures |= {
        "stalls": stalls,
        "stalls_expected": steps["count"] // case.every,
        "gap_ms_median": round(median, 3),
        "gap_ms_expected": case.gap_ms,
    }
    claims |= {
        "count": stalls == figures["stalls_expected"],
        "cause": all(gap["cause"] == "pipeline" for gap in long),
        "gap_ms": abs(median - case.gap_ms) <= GAP_MS,
        "wait_share": abs(steps["wait_share"] - case.share) <= WAIT_SHARE,
        "idle_share": -IDLE_BELOW <= device["idle_share"] - case.share <= IDLE_ABOVE,
    }
    if case.every > 1:
        starts = sorted(gap["start_s"] for gap in long)
        period = (case.every * STEP_MS + case.gap_ms) / 1e3
        figures["gaps_ms"] = [round(gap["ms"], 3) for gap in sorted(long, key=lambda gap: gap["start_s"])]
        figures["periods"] = [round((b - a) / period, 4) for a, b in pairwise(starts)]
        claims["schedule"] = all(abs(one - 1) <= PERIOD for one in figures["periods"])
    return figures, claims


def gaps_longer(histogram: list[tuple[float, int]], ms: float) -> int:
    """Gaps above the largest bound of the histogram (1, 2 or 5 times a power of ten) that is not above `ms`."""
    bound = max(b * 10.0**e for e in range(-3, 4) for b in (1, 2, 5) if b * 10.0**e <= ms)
    return sum(n for upper, n in histogram if upper > bound * 1.000001)


def main() -> int:
    """Measure, write and print the result; 0 if it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the result goes (JSON)")
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    options = parser.parse_args()

    figures, raw = {}, {}
    for name in options.case or CASES:
        case = CASES[name]
        profile = measure(case, min(STEPS, STALLS * case.every) if case.every > 1 else STEPS)
        found, claims = judge(case, profile)
        figures[name] = found | {"claims": claims, "holds": all(claims.values())}
        raw[name] = {key: profile[key] for key in ("steps", "device", "overhead", "contention", "verdict")}
        broken = [claim for claim, holds in claims.items() if not holds]
        print(
            f"{name}: waits {found['wait_share']:.2%} (expected {case.share:.2%}), idle {found['idle_share']:.2%}, "
            + (f"gaps {found['gap_ms_median']:.2f} ms (expected {case.gap_ms:g}), " if case.gap_ms else "")
            + (f"DOES NOT HOLD: {', '.join(broken)}" if broken else "holds"),
            flush=True,
        )
    holds = all(one["holds"] for one in figures.values())
    result = {
        "claim": "planted stalls are found as idle gaps, by number, length, cause and share, under sync and with one "
        "and two steps in flight",
        "holds": holds,
        "figures": figures,
        "raw": raw,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
