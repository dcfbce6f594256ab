"""Whether a gate with a memory deserves trust: a creep is found, chance is none, and a search ends at its commit.

Usage: ``python benchmarks/history/bench.py --out FILE [--case NAME …]``. Simulated series of gates (simulate.py): at
least 95 % of those that creep are found, at most 1 % of the others are called so. Ten repositories whose commits take
what benchmarks/gate has recorded, times a factor (recorded.py): the search names the planted commit in all of them.
Two live ones (live.py): the same, measured.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from live import KINDS
from live import measure as measure_live
from recorded import TEN, search
from simulate import FOUND, QUIET, run
from suite import BROKEN, HOLDS, Benchmark, Covers, main

SERIES = 300
LEAST_FOUND, MOST_FALSE = 0.95, 0.01
SEARCHES = 2
"""Of each recorded repository, each with other processes drawn."""


def measure(name: str, _shared: Path) -> dict[str, Any]:
    """Measure one case."""
    if name in KINDS:
        return measure_live(name)
    return _recorded(name) if name.startswith("recorded: ") else _simulated(name)


def _simulated(name: str) -> dict[str, Any]:
    wanted = name.startswith("creep: ")
    kind = (FOUND if wanted else QUIET)[name.partition(": ")[2]]
    found = [run(kind, number) for number in range(SERIES)]
    share = sum(one.gate is not None for one in found) / SERIES
    gates = sorted(one.gate for one in found if one.gate is not None)
    figures = {"called_share": share, "series": SERIES}
    if gates:
        figures["gates_until_called_median"] = gates[len(gates) // 2] + 1
    holds = share >= LEAST_FOUND if wanted else share <= MOST_FALSE
    return {"outcome": HOLDS if holds else BROKEN, "figures": figures, "raw": {"gates": gates}}


def _recorded(name: str) -> dict[str, Any]:
    raw = []
    for seed in range(SEARCHES):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            place = Path(folder) / "repository"
            place.mkdir()
            raw.append(search(TEN[name.partition(": ")[2]], place, seed))
    right = sum(one["found"] and one["code"] == 3 for one in raw)
    figures = {
        "found": right,
        "searches": SEARCHES,
        "sessions_mean": sum(one["sessions"] for one in raw) / SEARCHES,
        "unchanged_mean": sum(one["unchanged"] for one in raw) / SEARCHES,
    }
    holds = right == SEARCHES and all(one["untouched"] for one in raw)
    return {"outcome": HOLDS if holds else BROKEN, "figures": figures, "raw": {"searches": raw}}


CREEPS = [f"creep: {name}" for name in FOUND]
QUIET_ONES = [f"no creep: {name}" for name in QUIET]
BENCHMARK = Benchmark(
    claim=f"a creep of eight times 3 % is found in at least {LEAST_FOUND:.0%} of simulated series, and at most "
    f"{MOST_FALSE:.0%} of those without one are called so; gate --bisect names the planted commit in ten recorded "
    "repositories and two live ones",
    cases=(*CREEPS, *QUIET_ONES, *(f"recorded: {name}" for name in TEN), *KINDS),
    measure=measure,
    covers=Covers(("gate",), ("profiles/fix", "profiles/advise")),
    covers_of={name: Covers(("pipeprof.profiles.history.creep",)) for name in (*CREEPS, *QUIET_ONES)},
    seconds=60.0,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
