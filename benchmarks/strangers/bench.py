"""Strangers' pipelines: what ``pipeprof run`` says about each, beside what a person gains by hand.

Each pipeline was mended by hand before the rules were written (cases.py). Plain loops tell what that gains, in three to
eight pairs, copies of one imported process; table.py prints the gains beside what was said. Of each report is kept: all
of it as text, its lines at 100 and at 80 columns, and its findings with what was measured. Demanded of a case:

* ``finished``: the command ends with 0, and no rule failed;
* ``stage``: the verdict names a stage whose work the fix removes, or none is the right one;
* ``proven``: a gain by hand of 1.3 or more has, where an edit can make it, a change that was measured and kept and
  gains 60 % of it; where none can, an upper bound of at least that;
* ``silent``: where nothing is to be gained, by hand either, no change of speed is recommended;
* ``short``, ``whole``: at most 45 lines at 100 columns, and no line of more than 80 at 80, commands and code aside.

All together: the stage is right in all, of the gains that an edit can make 60 % are proven and of the others all are
bounded, and, by the labels that a reader gave (labels.yaml), no sentence is wrong, and at most 20 % of them are empty.
What nobody labelled cannot be told.

Needs two idle cores; the case of a library that is not installed is not measured.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
from cases import CASES, Stranger

sys.path += [str(HERE.parent), str(HERE.parent / "public")]

from copies import Copies
from labels import conclude
from loops import plain, prepare, profile_of
from run import Benchmark, Json, NotMeasuredError, claimed, is_disturbed, main, pipeprof, until_undisturbed
from stopping import EACH_LOOK, interval, until_decided

WORTH = 1.3
"""A gain by hand from which on a report has to speak of it."""
REACHED = 0.6
MOST_PAIRS = 8
MOST_LINES, WIDE, NARROW = 45, 100, 80
BUDGET = 60
"""Seconds for trying changes."""
PATIENCE = 300
KEPT = (
    *("rule", "title", "family", "stage", "status", "reason", "change"),
    *("semantics", "measured", "predicted", "python"),
)


def pairs_of(case: Stranger, folder: Path, copies: Copies) -> list[float]:
    """Elements per second of the mended pipeline over those as it is, until it is decided whether it gains enough."""

    def pair(number: int) -> float:
        order = [case.target, str(case.fixed)][:: 1 if number % 2 == 0 else -1]
        found = {one: plain(copies, folder, one, "--step", f"{case.step:g}")["elements_per_second"] for one in order}
        return found[str(case.fixed)] / found[case.target]

    return until_decided(pair, [WORTH], MOST_PAIRS) if case.fixed else []


def report_of(folder: Path, out: Path, columns: int) -> list[str]:
    """The lines of a saved profile's report."""
    return pipeprof("show", out, folder=folder, patience=PATIENCE, COLUMNS=str(columns)).stdout.splitlines()


def said_of(finding: Json) -> list[str]:
    """Title and first line of a finding."""
    return [finding["title"], next(iter((finding.get("change") or finding.get("reason") or "").splitlines()), "")]


def best(findings: list[Json], status: str) -> float | None:
    """The largest measured speed-up of this status."""
    gains = [(finding["measured"] or {}).get("speedup") for finding in findings if finding["status"] == status]
    return max((gain for gain in gains if gain is not None), default=None)


def judge(case: Stranger, code: int, profile: Json, pairs: list[float], reports: dict[str, list[str]]) -> Json:
    """What was said, and which demands hold, of a command's exit code, profile, plain pairs and report: pure."""
    if code or not profile.get("complete"):
        return {"exit_code": code, "claims": {"finished": False}}
    findings, verdict = profile["findings"] or [], profile["verdict"]
    stage = next((one for one in profile["stages"] or [] if one["id"] == verdict["stage"]), None)
    named = " ".join(str(stage.get(key)) for key in ("name", "op")) if stage else ""
    kept, ceiling = best(findings, "kept"), best(findings, "ceiling")
    middle, low, _ = interval(pairs, EACH_LOOK) if pairs else (None, None, None)
    counts = middle is not None and low is not None and middle >= WORTH and low > 1
    code = "\n".join(text for one in findings for key in ("diff", "python") if (text := one.get(key)))
    proven = kept if case.edit else max(filter(None, (kept, ceiling)), default=None)
    claims = {
        "finished": all(message["code"] != "rule-failed" for message in profile["warnings"]),
        "stage": not case.stages or any(one in named for one in case.stages),
        "proven": not counts or (proven is not None and proven >= REACHED * low),
        "silent": not case.healthy
        or counts
        or not any(one["status"] == "kept" and one["family"] == "speed" for one in findings),
        "short": len(reports[str(WIDE)]) <= MOST_LINES,
        "whole": all(
            len(line) <= NARROW or "pipeprof " in line or line.strip() in code for line in reports[str(NARROW)]
        ),
    }
    return {
        "headline": verdict["headline"],
        "stage": stage and (stage["name"] or stage["op"]),
        "by_hand": [round(one, 3) for one in interval(pairs)] if pairs else None,
        "counts": counts,
        "edit": case.edit,
        "tried": (profile.get("verification") or {}).get("tried"),
        "kept": kept,
        "ceiling": ceiling,
        "said": [said_of(finding) for finding in findings],
        "lines": {columns: len(lines) for columns, lines in reports.items()},
        "claims": claims,
    }


def run_case(folder: Path, copies: Copies, name: str) -> tuple[Json, Json]:
    """Measure a case once: figures and raw values; prints a line."""
    case = CASES[name]
    pairs = pairs_of(case, folder, copies)
    step = ("--step", f"simulate:{case.step:g}ms") if case.step else ()
    code, profile, out = profile_of(folder, case.target, *step, "--budget", f"{BUDGET}", patience=PATIENCE)
    reports = {str(columns): report_of(folder, out, columns) if profile else [] for columns in (WIDE, NARROW)}
    found = judge(case, code, profile, pairs, reports)
    said = f"by hand {found.get('by_hand')}, kept {found.get('kept')}, ceiling {found.get('ceiling')}"
    raw = {
        "pairs": pairs,
        "exit_code": code,
        "report": reports,
        "findings": [{key: one.get(key) for key in KEPT} for one in profile.get("findings") or []],
        "verification": profile.get("verification"),
    }
    return found | claimed(name, said, found["claims"], disturbed=is_disturbed(profile)), raw


def measured(name: str, folder: Path) -> Json:
    """A case, measured again while the machine was disturbed."""
    library = CASES[name].library
    if library and find_spec(library) is None:
        msg = f"{library} is not installed"
        raise NotMeasuredError(msg)
    prepare(folder)
    with Copies() as copies:
        return until_undisturbed(partial(run_case, folder, copies, name))


def concluded(cases: Mapping[str, Json]) -> tuple[str, Json]:
    """What all cases say together, with the labels of a reader."""
    return conclude(cases, REACHED)


BENCHMARK = Benchmark(
    claim="of strangers' pipelines the stage is right in all, at least 60 % of the gains by hand that an edit can make "
    "are proven and the others bounded, no sentence is wrong and at most 20 % are empty, and what is healthy gets no "
    "advice",
    cases=tuple(CASES),
    measure=measured,
    conclude=concluded,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
