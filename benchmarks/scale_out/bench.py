"""How many workers of a tf.data service: what one measured worker predicts, against two and three of them.

Usage: ``python benchmarks/scale_out/bench.py --out FILE [--case NAME …]``. A case is one command: ``pipeprof scale``,
with workers of one core. Eight pipelines need workers: none, one, two and three of them take turns, scaled down
together with the step as the command does it. Four cannot be helped by workers: a step that never waits, batches whose
bytes cost more to send than to make, a data set for which a cache is worth more, and work that is too cheap.

The claim, over eight pipelines and three numbers of workers: the prediction from one measured worker is wrong by 5 % at
the median and by 15 % at the 90th percentile at most, and the number that it gives, by the rule of the command, is the
one that the measurement gives, or its measured rate is within 3 % of that of the latter; and all four others get a no.
The error is ``max(predicted / measured, measured / predicted) - 1``. One worker is predicted by an earlier session of
the same command. What this does not prove: that a real network and real machines behave as processes on one of them.

A case takes about two minutes. Needs two idle cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from suite import BROKEN, HOLDS, UNKNOWN, Benchmark, Covers, main

from pipeprof.profiles.scale.rates import enough

MEDIAN, NINETIETH = 0.05, 0.15
AS_GOOD = 0.03
MOST = 3
SECONDS = 300
"""That one command may take."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A pipeline.

    Attributes:
        step: Of the training, as ``--step`` has it.
        helps: Whether workers do.
        options: Further ones of the command.
    """

    step: str
    helps: bool = True
    options: tuple[str, ...] = ("--no-verify", "--measure", str(MOST))


CASES = {
    "matmul": Case("simulate:12ms"),
    "spectra": Case("simulate:4ms"),
    "noise": Case("simulate:2ms"),
    "pictures": Case("simulate:8ms"),
    "augmented": Case("simulate:8ms"),
    "records": Case("simulate:6ms"),
    "texts": Case("none"),
    "sequences": Case("none"),
    "light": Case("simulate:50ms", False, ("--no-verify",)),
    "bytes_only": Case("none", False, ("--no-verify",)),
    "cacheable": Case("simulate:1ms", False, ()),
    "cheap": Case("none", False, ("--no-verify",)),
}


def error_of(predicted: float, measured: float) -> float:
    """By how much a prediction is wrong."""
    return max(predicted / measured, measured / predicted) - 1


def measure(name: str, folder: Path) -> Json:
    """Run the command on one pipeline."""
    case = CASES[name]
    out = folder / f"{name}.json"
    command = [sys.executable, "-m", "pipeprof", "scale", f"{HERE / 'pipelines.py'}:{name}", "--step", case.step]
    command += ["--worker-cores", "1", *case.options, "--no-lock", "--quiet", "--force", "--out", str(out)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-1500:]}")
    found = json.loads(out.read_text(encoding="utf-8"))["scale"]
    raw = {key: found[key] for key in ("status", "sentence", "workers", "stage", "factor", "step_ms", "rows", "cuts")}
    raw |= {"better": found["better"], "seconds": found["seconds"]}
    if not case.helps:
        said = {"status": found["status"], "sentence": found["sentence"]}
        return {"outcome": HOLDS if found["status"] == "no" else BROKEN, "figures": said, "raw": raw}
    return judged(found, raw)


def judged(found: Json, raw: Json) -> Json:
    """What the rows of a pipeline say, which counts together with the others."""
    rows = {row["workers"]: row for row in found["rows"]}
    if any(number not in rows or rows[number]["batches_per_second"] is None for number in range(MOST + 1)):
        return {"outcome": BROKEN, "figures": {"sentence": found["sentence"]}, "raw": raw}
    measured = [rows[number]["batches_per_second"] for number in range(MOST + 1)]
    predicted = [rows[number]["predicted"] for number in range(MOST + 1)]
    errors = [error_of(predicted[number], measured[number]) for number in range(1, MOST + 1)]
    best, promised = enough(measured), enough([measured[0], *predicted[1:]])
    as_good = measured[promised] >= (1 - AS_GOOD) * measured[best]
    figures = {
        "errors": [round(one, 4) for one in errors],
        "best": best,
        "predicted_best": promised,
        "best_or_as_good": best == promised or as_good,
        "sentence": found["sentence"],
    }
    return {"outcome": HOLDS if figures["best_or_as_good"] else BROKEN, "figures": figures, "raw": raw}


def conclude(cases: Mapping[str, Json]) -> tuple[str, Json]:
    """What all pipelines say together."""
    errors = [one for name, case in cases.items() if CASES[name].helps for one in case["figures"].get("errors", ())]
    outcomes = [case["outcome"] for case in cases.values()]
    if len(errors) < 2 or None in outcomes:
        return UNKNOWN, {"errors": len(errors)}
    middle, ninetieth = median(errors), quantiles(errors, n=10, method="inclusive")[-1]
    figures = {
        "errors": len(errors),
        "median": round(middle, 4),
        "ninetieth": round(ninetieth, 4),
        "best_or_as_good": sum(bool(case["figures"].get("best_or_as_good")) for case in cases.values()),
        "noes": sum(CASES[name].helps is False and case["outcome"] == HOLDS for name, case in cases.items()),
    }
    within = middle <= MEDIAN and ninetieth <= NINETIETH
    return (HOLDS if within and BROKEN not in outcomes else BROKEN), figures


BENCHMARK = Benchmark(
    claim=f"two and three workers of a tf.data service are predicted from one measured worker within "
    f"{MEDIAN:.0%} at the median and {NINETIETH:.0%} at the 90th percentile, the best number of them, or one within "
    f"{AS_GOOD:.0%} of it, for 8 of 8 pipelines, and 4 of 4 that workers cannot help get a no",
    cases=list(CASES),
    measure=measure,
    covers=Covers(("scale",), ("profiles/fix", "profiles/judge", "profiles/git")),
    covers_of={"cacheable": Covers(("scale",), ("profiles/judge", "profiles/git"))},
    seconds=120.0,
    conclude=conclude,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
