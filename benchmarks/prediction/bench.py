"""What an edit of a pipeline is predicted to give, against what it gives.

Usage: ``python benchmarks/prediction/bench.py --out FILE [--case NAME …]``. Each pipeline is profiled once, as
``pipeprof run --no-verify`` does. Then processes of the pipeline as it is and of edited ones take turns, block by
block: that is the truth.

Two edits of each pipeline were chosen by hand; two are drawn. The rule of the draw was written down before anything was
measured (`cases`): of all edits of the stated kinds that the pipeline has a place for, the first two that can be
applied, in an order that only the name of the pipeline decides. Constants of the model were fitted to chosen edits
alone. A row has its prediction, even where that is wrong, and the reason where there is none.

A row is judged where the half width of the measured interval is at most a tenth, and where the model makes a
prediction. The claim: over the judged rows, at least 40 of them, the median error is at most 10 % and the 90th
percentile at most 25 %. The error is ``max(predicted / measured, measured / predicted) - 1``. Whatever is wrong by more
than 1.5 times is listed by name. The part of the rows that are not judged is in the result.

Two more figures are reported and judge nothing: the error of the predicted wait of the step, as a share of the measured
time of a step, and that of the predicted change of the peak of memory, in bytes.

An edit has blocks until its interval is narrow enough, at the numbers of rounds that are stated in `measure`, and until
the time of its pipeline is over: what varies most has the most blocks.

A case is a pipeline with its rows; the claim is of all rows together. Needs two idle cores. A case takes a minute.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path.append(str(BENCHMARKS))

from cases import CASES, DRAWN, Case, drawn
from measure import Measured, calibrate, measure, profile_of
from suite import RUN, Benchmark, main, public_data

from pipeprof.pipelines.edits.edits import PipelineEdit, to_document
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.model.calibration import costs_of
from pipeprof.profiles.model.predict import predict

LEAST_ROWS = 40
MEDIAN, NINETIETH = 0.10, 0.25
WRONG = 1.5
JUDGED_WITHIN = 0.10
"""Half width of an interval, as a share of its middle, up to which a row is judged."""


def text_of(edits: Sequence[PipelineEdit]) -> str:
    """Edits in one line."""
    return "; ".join(_text(edit) for edit in edits)


def _text(edit: PipelineEdit) -> str:
    fields = to_document(edit)
    match fields.pop("kind"):
        case "InsertStage":
            arguments = ", ".join(f"{name}={value}" for name, value in fields["arguments"].items())
            text = f"insert {fields['op']}({arguments}) after {fields['after'] or 'the last stage'}"
        case "SetArgument":
            text = f"{fields['stage']} {fields['op']}: {fields['argument']}={fields['value']}"
        case "SetOption":
            text = f"{fields['path']}={fields['value']}"
        case "MoveStage":
            text = f"move {fields['op']} before {fields['before']}"
        case "VectoriseMap":
            text = f"vectorise {fields['stage']}"
        case "ReplaceStages":
            text = f"remove {', '.join(fields['stages'])}"
        case kind:
            text = str(kind)
    return text


def row_of(profile: Profile, half: str, edits: Sequence[PipelineEdit], found: Measured | str) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {"half": half, "edit": text_of(edits)}
    if isinstance(found, str):
        return {**row, "judged": False, "why_not": f"cannot be applied: {found}"}
    speedup = found.speedup
    row["measured"] = {"speedup": speedup.value, "low": speedup.low, "high": speedup.high, "pairs": speedup.pairs}
    interval = profile.steps.interval_ms.mean / speedup.value if profile.steps is not None else None
    if found.wait_ms is not None:
        row["measured"]["wait_ms"] = found.wait_ms[1]
    if found.peak_bytes is not None:
        row["measured"]["peak_bytes"] = found.peak_bytes[1] - found.peak_bytes[0]
    expected = predict(profile, edits, costs_of(profile))
    if expected is None:
        return {**row, "judged": False, "why_not": "the model does not know this edit"}
    row["predicted"] = {
        "speedup": expected.speedup,
        "wait_ms": expected.wait_ms,
        "peak_bytes": expected.peak_bytes,
        "formula": expected.formula,
    }
    ratio = expected.speedup / speedup.value
    row["error"] = max(ratio, 1 / ratio) - 1
    if found.wait_ms is not None and interval:
        row["wait_error"] = abs(expected.wait_ms - found.wait_ms[1]) / interval
    if found.peak_bytes is not None and expected.peak_bytes is not None:
        row["peak_error_bytes"] = abs(expected.peak_bytes - row["measured"]["peak_bytes"])
    row["judged"] = speedup.half_width <= JUDGED_WITHIN
    if not row["judged"]:
        row["why_not"] = f"the measured interval is ±{speedup.half_width:.0%}"
    return row


def rows_of(name: str, case: Case, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of one pipeline, and what they come from."""
    began = time.monotonic()
    target = f"{BENCHMARKS / case.target}"
    profile = profile_of(target, case.step, folder / f"{name}.json")
    further = drawn(name, profile.stages or ())
    chosen, others = measure(target, case.step, case.chosen, further, DRAWN)
    rows = [row_of(profile, "chosen", edits, chosen[place]) for place, edits in enumerate(case.chosen)]
    rows += [row_of(profile, "drawn", further[place], found) for place, found in sorted(others.items())]
    rows = [{"pipeline": name, **row} for row in rows]
    steps = profile.steps
    raw = {
        "target": case.target,
        "step": case.step,
        "seconds": round(time.monotonic() - began, 1),
        "costs": asdict(costs_of(profile)),
        "interval_ms": steps.interval_ms.mean if steps is not None else None,
        "contention": asdict(profile.contention) if profile.contention is not None else None,
        "ceiling": profile.ceiling.model_dump() if profile.ceiling is not None else None,
    }
    return rows, raw


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The errors of the judged rows: of all, and of each half."""
    found: dict[str, Any] = {}
    for half in ("all", "chosen", "drawn"):
        judged = [row["error"] for row in rows if row["judged"] and half in ("all", row["half"])]
        found[half] = {
            "rows": len(judged),
            "median_error": quantile(judged, 0.5),
            "ninetieth_error": quantile(judged, 0.9),
        }
    waits = [row["wait_error"] for row in rows if row["judged"] and "wait_error" in row]
    peaks = [row["peak_error_bytes"] for row in rows if "peak_error_bytes" in row]
    found["wait"] = {"rows": len(waits), "median_error": quantile(waits, 0.5), "ninetieth_error": quantile(waits, 0.9)}
    found["peak"] = {"rows": len(peaks), "median_bytes": quantile(peaks, 0.5), "ninetieth_bytes": quantile(peaks, 0.9)}
    found["not_judged"] = sum(not row["judged"] for row in rows)
    found["wrong"] = [f"{row['pipeline']}: {row['edit']}" for row in rows if row["judged"] and row["error"] > WRONG - 1]
    return found


def quantile(errors: Sequence[float], share: float) -> float | None:
    """The smallest error that so many of them do not exceed.

    Example:
        >>> quantile([0.1, 0.2, 0.3, 0.4], 0.5)
        0.2
    """
    ordered = sorted(errors)
    place = max(0, -(-int(len(ordered) * share * 1000) // 1000) - 1)
    return ordered[place] if ordered else None


def holds(found: dict[str, Any]) -> bool:
    """Whether the claim holds of all rows."""
    whole = found["all"]
    enough = whole["rows"] >= LEAST_ROWS
    return enough and whole["median_error"] <= MEDIAN and whole["ninetieth_error"] <= NINETIETH


def _line(row: dict[str, Any]) -> str:
    measured, predicted = row.get("measured"), row.get("predicted")
    text = f"{row['pipeline']}, {row['half']}, {row['edit']}: "
    if predicted is not None:
        text += f"predicted {predicted['speedup']:.2f}×, "
    if measured is not None:
        text += f"measured {measured['speedup']:.2f}× ({measured['low']:.2f} to {measured['high']:.2f})"
    return text + (f"; {row['why_not']}" if not row["judged"] else f"; error {row['error']:.0%}")


def measured(name: str, folder: Path) -> dict[str, Any]:
    """The rows of one pipeline; all pipelines together are what is claimed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if CASES[name].data:
        public_data(folder)
    os.chdir(folder)
    # The costs of this machine as it is now, not those that somebody measured before.
    os.environ["PIPEPROF_CACHE_DIR"] = str(folder / "costs")
    calibrate(f"{BENCHMARKS / CASES['healthy'].target}", folder)
    rows, raw = rows_of(name, CASES[name], folder)
    for row in rows:
        print(_line(row), flush=True)
    return {"outcome": "holds", "figures": summary(rows), "raw": {"rows": rows, **raw}}


def conclude(cases: Mapping[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """What the rows of all pipelines say."""
    found = summary([row for case in cases.values() for row in case["raw"].get("rows", ())])
    broken = any(case["outcome"] != "holds" for case in cases.values())
    if found["all"]["rows"] < LEAST_ROWS and not broken:
        return "cannot tell", found
    return "holds" if holds(found) and not broken else "does not hold", found


BENCHMARK = Benchmark(
    claim=f"of {LEAST_ROWS} predicted speedups and more, half of them drawn, the median error is at most {MEDIAN:.0%}, "
    f"the 90th percentile at most {NINETIETH:.0%}",
    cases=tuple(CASES),
    measure=measured,
    conclude=conclude,
    covers=RUN,
    seconds=60.0,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
