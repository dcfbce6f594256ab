"""Planted stalls: whether ``pipeprof run`` finds the idle gaps that a schedule leaves, as long as they are.

Every `every`-th batch comes `late_ms` after it was asked for, all others at once; a step takes 10 ms. The host asks
`dispatch` steps ahead of the device (none with sync), and a prefetch of `p` batches asks another `p` ahead of the host.
So a stall leaves the device idle for ``gap = max(0, late - (dispatch + p) * step)``, a share of
``gap / (every * step + gap)`` of the time, on a machine that wakes a sleeping thread at once. Real ones do not, and how
late they do changes by the hour. So the truth is a plain loop (plain.py) that feeds the same pipeline to a device of
the same rule, in a copy of a process that has imported TensorFlow alone, once before pipeprof's run and once after it:
the mean of both is what pipeprof must find. What was constructed (`planted`) must show in the plain loop: as many
stalls, and a period within a tenth. Held against the plain loop:

* the gaps longer than half the planted one number exactly the steps measured over `every`: ten or fewer, all listed;
* every one of them is the pipeline's, and from one to the next it is the plain loop's median period within a tenth;
* the median gap within 1.5 ms; where every batch is late, that is the median of all waits;
* the shares of waiting and of idle time within 0.015; of a pipeline that is never late, waiting within 0.005;
* the word of the verdict is that of the plain loop's share of waiting (5 % and 20 %), near which no schedule is.

Where the two plain runs differ by more than these bounds the machine was not steady, and such a case is measured again,
up to twice; so is one that does not hold while pipeprof's own report says that it was disturbed, or that the hypervisor
took 2 % of the cores. Of a case that still does not hold, the outcome is "cannot tell".
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict, astuple, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from copies import Copies
from run import Benchmark, claimed, is_disturbed, main, pipeprof, until_undisturbed

STEP_MS = 10.0
GAP_MS = 1.5
PERIOD = 0.1
WAIT_SHARE, IDLE_SHARE = 0.015, 0.015
NEVER_WAITS = 0.005
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
    def period_ms(self) -> float:
        """From one stall to the next."""
        return self.every * STEP_MS + self.gap_ms

    @property
    def share_within(self) -> float:
        """How far a share of waiting may be off."""
        return WAIT_SHARE if self.gap_ms else NEVER_WAITS


@dataclass(frozen=True)
class Plain:
    """What a plain loop found; the stalls' length and period are in milliseconds, `None` where none is planted."""

    wait_share: float
    idle_share: float
    stalls: int
    gap_ms: float | None
    period_ms: float | None

    @classmethod
    def of(cls, case: Case, found: dict[str, Any]) -> Plain:
        """From the readings that plain.py printed."""
        wait, idle = found["wait_share"], found["idle_share"]
        if not case.gap_ms:
            return cls(wait, idle, 0, None, None)
        gaps = zip(found["gap_start_s"], found["gap_ms"], strict=True)
        long = [(start, ms) for start, ms in gaps if ms > case.gap_ms / 2]
        if case.every == 1:
            return cls(wait, idle, len(long), statistics.median(found["wait_ms"]), None)
        periods = [1e3 * (after - before) for (before, _), (after, _) in pairwise(long)]
        period = statistics.median(periods) if periods else None
        return cls(wait, idle, len(long), statistics.median(ms for _, ms in long) if long else None, period)

    def agrees(self, case: Case, other: Plain) -> bool:
        """Whether the machine was the same in both runs, as far as the bounds can tell."""
        gaps = [one.gap_ms for one in (self, other) if one.gap_ms is not None]
        return (
            abs(self.wait_share - other.wait_share) <= case.share_within
            and abs(self.idle_share - other.idle_share) <= IDLE_SHARE
            and self.stalls == other.stalls
            and (not gaps or max(gaps) - min(gaps) <= GAP_MS)
        )

    def mean(self, other: Plain) -> Plain:
        """The middle of two runs that agree."""
        both = zip(astuple(self), astuple(other), strict=True)
        return Plain(*(None if None in pair else statistics.fmean(pair) for pair in both))

    def shows(self, case: Case, steps: int) -> bool:
        """Whether the planted schedule is there."""
        if not case.gap_ms:
            return True
        period = abs(self.period_ms / case.period_ms - 1) <= PERIOD if self.period_ms is not None else case.every == 1
        return self.stalls == steps // case.every and period


def word(share: float) -> str:
    """The verdict's word for a share of waiting."""
    return "step" if share < 0.05 else "input" if share >= 0.20 else "balanced"


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


def attempt(case: Case, steps: int, copies: Copies) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The readings of the plain loop before and after pipeprof's run, and the profile of that run."""
    plain = [str(HERE / "plain.py"), str(steps), f"{STEP_MS:g}"]
    given = {"BENCHMARK_CASE": json.dumps(asdict(case))}
    target = f"{HERE / 'pipelines.py'}:planted"
    options = f"--step simulate:{STEP_MS:g}ms,dispatch={case.dispatch} --steps {steps} --no-verify --json --quiet"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = copies.run(plain, folder, os.environ | given)
        done = pipeprof("run", target, *options.split(), folder=folder, patience=PATIENCE, **given)
        done.check_returncode()
        return [before, copies.run(plain, folder, os.environ | given)], json.loads(done.stdout)


def judge(case: Case, truths: list[Plain], profile: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was expected and measured, and which of the claims hold."""
    steps, device = profile["steps"], profile["device"]
    gaps = device["gaps"]
    truth = truths[0].mean(truths[1])
    figures: dict[str, Any] = {
        "steps": steps["count"],
        "wait_share": round(steps["wait_share"], 5),
        "wait_share_plain": [round(one.wait_share, 5) for one in truths],
        "wait_share_planted": round(case.share, 5),
        "idle_share": round(device["idle_share"], 5),
        "idle_share_plain": [round(one.idle_share, 5) for one in truths],
        "bound": profile["verdict"]["bound"],
        "bound_plain": word(truth.wait_share),
        "bound_planted": word(case.share),
    }
    claims = {
        "steady": truths[0].agrees(case, truths[1]),
        "planted": all(one.shows(case, steps["count"]) for one in truths),
        "bound": figures["bound"] == figures["bound_plain"],
        "wait_share": abs(steps["wait_share"] - truth.wait_share) <= case.share_within,
        "idle_share": abs(device["idle_share"] - truth.idle_share) <= IDLE_SHARE,
    }
    if not case.gap_ms:
        return figures, claims
    stalls = gaps_longer(gaps["histogram"], case.gap_ms / 2)
    long = [gap for gap in gaps["longest"] if gap["ms"] > case.gap_ms / 2]
    if case.every == 1:
        median = steps["wait_ms"]["p50"]
    else:
        median = statistics.median(gap["ms"] for gap in long) if long else None
    figures |= {
        "stalls": stalls,
        "stalls_planted": steps["count"] // case.every,
        "gap_ms_median": median and round(median, 3),
        "gap_ms_plain": [one.gap_ms and round(one.gap_ms, 3) for one in truths],
        "gap_ms_planted": case.gap_ms,
    }
    claims |= {
        "count": stalls == figures["stalls_planted"],
        "cause": all(gap["cause"] == "pipeline" for gap in long),
        "gap_ms": None not in (median, truth.gap_ms) and abs(median - truth.gap_ms) <= GAP_MS,
    }
    if case.every > 1:
        starts = sorted(gap["start_s"] for gap in long)
        figures["gaps_ms"] = [round(gap["ms"], 3) for gap in sorted(long, key=lambda gap: gap["start_s"])]
        figures["periods_ms"] = [round(1e3 * (b - a), 2) for a, b in pairwise(starts)]
        figures["period_ms_plain"] = [one.period_ms and round(one.period_ms, 2) for one in truths]
        figures["period_ms_planted"] = case.period_ms
        period = truth.period_ms
        claims["schedule"] = all(period and abs(one / period - 1) <= PERIOD for one in figures["periods_ms"])
    return figures, claims


def gaps_longer(histogram: list[tuple[float, int]], ms: float) -> int:
    """Gaps above the largest bound of the histogram (1, 2 or 5 times a power of ten) that is not above `ms`."""
    bound = max(b * 10.0**e for e in range(-3, 4) for b in (1, 2, 5) if b * 10.0**e <= ms)
    return sum(n for upper, n in histogram if upper > bound * 1.000001)


def run_case(name: str, copies: Copies) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures and raw values of one try of a case; prints a line."""
    case = CASES[name]
    steps = min(STEPS, STALLS * case.every) if case.every > 1 else STEPS
    plain, profile = attempt(case, steps, copies)
    figures, claims = judge(case, [Plain.of(case, one) for one in plain], profile)
    disturbed = not claims["steady"] or is_disturbed(profile)
    waits = ", ".join(f"{share:.2%}" for share in (figures["wait_share"], *figures["wait_share_plain"]))
    told = claimed(name, f"waits, and by plain loops: {waits}", claims, disturbed=disturbed)
    kept = {key: profile[key] for key in ("steps", "device", "overhead", "contention", "verdict")}
    return figures | told, {"plain": plain, "pipeprof": kept}


def measured(name: str, _folder: Path) -> dict[str, Any]:
    """A case, measured again while the machine is not steady."""
    with Copies() as copies:
        return until_undisturbed(lambda: run_case(name, copies))


BENCHMARK = Benchmark(
    claim="planted stalls are found as idle gaps, by number, length, cause and share, under sync and with one and two "
    "steps in flight: as a plain loop finds them in the same minute",
    cases=tuple(CASES),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
