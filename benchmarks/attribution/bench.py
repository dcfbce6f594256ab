"""Planted costs and planted memory: ``python benchmarks/attribution/bench.py --out FILE [--case NAME …]``.

What is planted, what is held against it and how far it may be off stands in `time_cases.py`, `inside_cases.py`,
`deep_cases.py` and `memory_cases.py`.
With ``--add`` the cases are added to what FILE already has, so that a long run can be made in pieces. A case of time
that does not hold while pipeprof itself reports a disturbed measurement, or that the hypervisor took 2 % of the cores,
is measured again, three times in all; where only such cases do not hold, the outcome is "cannot tell" (exit code 3).
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tries import EXITS, outcome_of

KINDS = [kind for kind in ("time", "inside", "deep", "memory") if (HERE / f"{kind}_cases.py").exists()]
CLAIM = (
    "shares of planted costs within 10 points, the top stage and the top op always right, calls exact, Python "
    "functions within 15 %; planted memory found by owner"
)


def main() -> int:
    """Measure, write and print the result; 0 if it holds."""
    sys.path.insert(0, str(HERE))
    kinds: dict[str, Any] = {kind: importlib.import_module(f"{kind}_cases") for kind in KINDS}
    known = {f"{kind}/{name}": (module, name) for kind, module in kinds.items() for name in module.CASES}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the result goes (JSON)")
    parser.add_argument("--case", choices=known, action="append", help="default: all")
    parser.add_argument("--add", action="store_true", help="keep the other cases in FILE")
    options = parser.parse_args()

    before = json.loads(options.out.read_text(encoding="utf-8")) if options.add and options.out.exists() else {}
    figures, raw = before.get("figures", {}), before.get("raw", {})
    said = outcome_of(figures)
    for name in options.case or known:
        module, case = known[name]
        found = module.run_case(case)
        figures[name], raw[name] = found["figures"], found["raw"]
        said = outcome_of(figures)
        result = {"claim": CLAIM, "holds": said == "holds", "outcome": said, "figures": figures, "raw": raw}
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return EXITS[said]


if __name__ == "__main__":
    sys.exit(main())
