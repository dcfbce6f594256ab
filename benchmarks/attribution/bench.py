"""Planted costs and planted memory: ``python benchmarks/attribution/bench.py --out FILE [--case NAME …]``.

What is planted, what is held against it and how far it may be off stands in `time_cases.py`, `inside_cases.py`,
`deep_cases.py` and `memory_cases.py`. A case of time that does not hold while pipeprof itself reports a disturbed
measurement, or that the hypervisor took 2 % of the cores, is measured again, three times in all; of one that still
does not hold, the outcome is "cannot tell".
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from run import Benchmark, main, outcome_of

KINDS: dict[str, Any] = {
    kind: importlib.import_module(f"{kind}_cases") for kind in ("time", "inside", "deep", "memory")
}


def measured(name: str, _folder: Path) -> dict[str, Any]:
    """A case, given as ``KIND/NAME``."""
    kind, _, case = name.partition("/")
    found = KINDS[kind].run_case(case)
    return {"outcome": outcome_of(found["figures"]), **found}


BENCHMARK = Benchmark(
    claim="shares of planted costs within 10 points, the top stage and the top op always right, calls exact, Python "
    "functions within 15 %; planted memory found by owner",
    cases=tuple(f"{kind}/{name}" for kind, module in KINDS.items() for name in module.CASES),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
