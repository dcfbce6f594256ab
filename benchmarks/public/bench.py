"""Pipelines of public shapes: what ``pipeprof run`` concludes about each, against plain loops without it.

Each is measured by a plain loop, then by pipeprof, then by plain loops in which one of its functions costs nothing: the
one that gains most by that is the bottleneck. Demanded of the report:

* the verdict's stage is the bottleneck, or one that gains as much within a tenth; any where none gains a tenth, or
  no more than the two plain loops differ by;
* the verdict's limit is one that the case allows. Where ``cpu`` is in question, plain loops on one core and on all of
  them take turns, three to six of each, until it is decided. ``cpu`` is right where the pairs are faster on all of them
  by a third at least in the mean, and wrong where they are by less than a tenth: then a core more is worth nothing,
  whoever keeps it busy, and another limit or none is right;
* each finding on speed was tried by hand: the plain loop with its fix gains at least half of what was predicted, in
  pairs until that is decided. A finding without a fix to try does not hold;
* unexplained memory is at most 10 % of the rise or 30 MiB, whichever is larger;
* elements per batch and per second are right within 5 and 20 %, or absent;
* a stage that a library makes has its function's name, the library's line that makes it and the user's line.

A case that does not hold while pipeprof's own report or the plain loops before and after it say that the machine was
disturbed is measured again, three times in all. Of one that still does not hold, the outcome is "cannot tell". Needs
two idle cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from cases import CASES, Case

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from copies import Copies
from loops import environment, plain, prepare, profile_of
from run import Benchmark, claimed, is_disturbed, main, until_undisturbed
from stopping import LEAST, decided, interval, until_decided

PATIENCE = 90
GAINS = 1.1
"""A function that costs nothing and gains less, or less than the plain loops differ, is no bottleneck."""
ALLOWED_BYTES, ALLOWED_SHARE = 30 * 2**20, 0.10
SCALES_FROM, SCALES_NOT_BELOW = 4 / 3, 1.1
"""Rate on all cores over that on one: from the first on the cores are the limit, below the second they are not."""
MOST_PAIRS = 6
"""Of plain loops on one core and on all of them at most, where it is in question whether the cores are the limit."""
UNSTEADY = 1.25
"""Ratio of the plain loops above which the machine was not the same for all that was measured between them."""
KEPT = ("verdict", "throughput", "findings", "warnings", "contention", "causes", "memory")


def option_of(finding: dict[str, Any]) -> list[str]:
    """The options that the finding sets, as it sets them: a pool of another size has another gain."""
    edits = finding["edit"] or []
    options = [edit for edit in (edits if isinstance(edits, list) else [edits]) if edit["kind"] == "SetOption"]
    return [part for edit in options for part in ("--option", f"{edit['path']}={edit['value']}")]


def measure(folder: Path, case: Case, copies: Copies) -> dict[str, Any]:
    """All measurements of one case: plain, with pipeprof, with functions that cost nothing, with fixes."""
    before = plain(copies, folder, case.target)
    exit_code, profile, _ = profile_of(folder, case.target, "--no-verify", patience=PATIENCE)
    limit = (profile.get("verdict") or {}).get("limit")
    free = {name: plain(copies, folder, case.target, "--free", name) for name in case.functions}
    found = {finding["rule"]: finding for finding in profile.get("findings") or []}
    fixed = {rule: fix_pairs(copies, folder, case, found[rule]) for rule in case.fixes if rule in found}
    loops, alone = [before], []

    def pair(_number: int) -> float:
        alone.append(plain(copies, folder, case.target, "--one-core"))
        loops.append(plain(copies, folder, case.target))
        return loops[-1]["batches_per_second"] / alone[-1]["batches_per_second"]

    most = MOST_PAIRS if (question := question_of(case, limit)) else 1
    until_decided(pair, [question or 1.0], most, min(LEAST, most))
    raw = {"plain": loops, "one_core": alone, "free": free, "fixed": fixed}
    if not case.functions:
        raw["epochs"] = plain_epochs(copies, folder, case.target)
    return {"exit_code": exit_code, "profile": profile, **raw}


def question_of(case: Case, limit: str | None) -> float | None:
    """The rate on all cores over that on one which decides whether the limit is right; None where it is no matter."""
    if limit == "cpu":
        return SCALES_NOT_BELOW
    return SCALES_FROM if "cpu" in case.limits and limit not in case.limits else None


def fix_pairs(copies: Copies, folder: Path, case: Case, finding: dict[str, Any]) -> list[float]:
    """Rates with a finding's fix over those without, in pairs, until it is decided whether it gains enough."""

    def pair(number: int) -> float:
        asked = {"as it is": (case.target,), "fixed": (case.fixes[finding["rule"]], *option_of(finding))}
        order = list(asked) if number % 2 == 0 else list(asked)[::-1]
        rates = {name: plain(copies, folder, *asked[name])["batches_per_second"] for name in order}
        return rates["fixed"] / rates["as it is"]

    return until_decided(pair, [needed_of(finding)], MOST_PAIRS)


def needed_of(finding: dict[str, Any]) -> float:
    """What a fix has to gain: half of what was predicted."""
    return 1 + 0.5 * (((finding["predicted"] or {}).get("speedup") or GAINS) - 1)


def plain_epochs(copies: Copies, folder: Path, target: str) -> dict[str, Any]:
    """Compare two epochs: no rate is measured, so that no fresh process is asked for one."""
    return copies.run([str(HERE / "plain.py"), target, "--epochs"], folder, os.environ | environment(folder))


def name_of(stage: dict[str, Any]) -> str:
    """Every name that the report gives a stage, and the text of its place."""
    return json.dumps([stage.get(key) for key in ("name", "function", "location", "library", "id")])


def made_by_library(case: Case, profile: dict[str, Any]) -> bool:
    """Whether each stage that a library makes names its function, the line that makes it, and the user's line."""
    user = f"{case.target.partition(':')[0]}.py"
    stages = {stage["name"]: stage for stage in profile["stages"] or [] if stage["name"]}
    for name, (file, call) in case.made_by.items():
        stage = stages.get(name) or {}
        place, line = stage.get("library") or {}, (stage.get("location") or {}).get("file") or ""
        if place.get("file") != file or Path(line).name != user:
            return False
        text = (HERE / "installed" / file).read_text(encoding="utf-8").splitlines()
        if call not in text[place["line"] - 1]:
            return False
    return True


def judge(case: Case, measured: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was found, and which demands hold."""
    profile = measured["profile"]
    if measured["exit_code"] or not profile.get("complete"):
        return {"exit_code": measured["exit_code"]}, {"finished": False}
    rates = [loop["batches_per_second"] for loop in measured["plain"]]
    rate = sum(rates) / len(rates)
    rows = measured["plain"][0]["elements_per_batch"]
    gains = {name: loop["batches_per_second"] / rate for name, loop in measured["free"].items()}
    best = max(gains.values(), default=1.0)
    # Less than loops of the same pipeline differ by is no gain.
    least = max(GAINS, max(rates) / min(rates))
    true = [name for name, gain in gains.items() if gain >= max(least, 0.9 * best)]
    verdict, throughput, memory = profile["verdict"], profile["throughput"] or {}, profile["memory"]
    stage = next((stage for stage in profile["stages"] or [] if stage["id"] == verdict["stage"]), None)
    said = name_of(stage) if stage else ""
    rise = (memory["peak_bytes"] or 0) - (memory["baseline_bytes"] or 0)
    unexplained = abs(memory["unexplained_bytes"] or 0)
    findings = []
    in_doubt = set()
    for finding in profile["findings"] or []:
        predicted = (finding["predicted"] or {}).get("speedup")
        ratios = measured["fixed"].get(finding["rule"])
        real = interval(ratios)[0] if ratios else None
        needed = finding["family"] == "speed" or predicted is not None
        if needed and ratios and not decided(ratios, needed_of(finding)):
            in_doubt.add("findings")
        findings.append(
            {
                "rule": finding["rule"],
                "predicted": predicted,
                "real": real,
                "holds": not needed or (real is not None and real >= needed_of(finding)),
            }
        )
    per_batch, per_second = throughput.get("elements_per_batch"), throughput.get("elements_per_second")
    rules = {finding["rule"] for finding in findings}
    limit = verdict["limit"]
    on_one = [loop["batches_per_second"] for loop in measured["one_core"]]
    scaling = [all_cores / one for all_cores, one in zip(rates[1:], on_one, strict=True)]
    gain = interval(scaling)[0]
    allowed = case.limits | ({None, "serial-stage"} if "cpu" in case.limits and gain < SCALES_FROM else set())
    if (question := question_of(case, limit)) and not decided(scaling, question):
        in_doubt.add("cpu" if limit == "cpu" else "limit")
    claims = {
        "finished": True,
        "stage": not true or any(f"{name}" in said for name in true) or bool(case.library and case.library in said),
        "limit": not case.limits or limit in allowed,
        "cpu": limit != "cpu" or gain >= SCALES_NOT_BELOW,
        "speaks": case.must <= rules,
        "findings": all(finding["holds"] for finding in findings),
        "memory": unexplained <= max(ALLOWED_BYTES, ALLOWED_SHARE * rise),
        "rows": per_batch is None or abs(per_batch / rows - 1) <= 0.05,
        "rate": per_second is None or abs(per_second / (throughput["batches_per_second"] * rows) - 1) <= 0.2,
        "order": "cache-after-shuffle" not in rules or bool(measured.get("epochs", {}).get("epochs_equal")),
        "places": made_by_library(case, profile),
        "no_rule_failed": all(message["code"] != "rule-failed" for message in profile["warnings"]),
    }
    figures = {
        "headline": verdict["headline"],
        "in_doubt": sorted(in_doubt),
        "stage": stage and stage["name"],
        "true_stages": true,
        "gains_if_free": {name: round(gain, 2) for name, gain in gains.items()},
        "limit": limit,
        "gains_of_all_cores_over_one": [round(one, 2) for one in scaling],
        "plain_batches_per_second": round(rate, 2),
        "batches_per_second": throughput.get("batches_per_second"),
        "plain_elements_per_batch": round(rows, 2),
        "elements_per_batch": per_batch,
        "findings": findings,
        "rise_mb": round(rise / 1e6, 1),
        "unexplained_mb": round(unexplained / 1e6, 1),
        **measured.get("epochs", {}),
    }
    return figures, claims


def unsteady(measured: dict[str, Any]) -> bool:
    """Whether plain loops that were to be alike were not."""
    rates = [loop["batches_per_second"] for loop in measured.get("plain", [])]
    return bool(rates) and max(rates) > UNSTEADY * min(rates)


def run_case(folder: Path, copies: Copies, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure a case once: figures and raw values; prints a line."""
    try:
        found_all = measure(folder, CASES[name], copies)
        found, claims = judge(CASES[name], found_all)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        found_all, found, claims = {"profile": {}}, {"error": f"{error}"}, {"finished": False}
    disturbed = unsteady(found_all) or is_disturbed(found_all["profile"])
    raw = {key: value for key, value in found_all.items() if key != "profile"}
    raw |= {key: found_all["profile"].get(key) for key in KEPT}
    return found | claimed(name, found.get("headline", "no profile"), claims, disturbed=disturbed), raw


def measured(name: str, folder: Path) -> dict[str, Any]:
    """A case, measured again while the machine was disturbed."""
    prepare(folder)
    with Copies() as copies:
        found = until_undisturbed(partial(run_case, folder, copies, name))
    broken = {claim for claim, holds in found["figures"]["claims"].items() if not holds}
    # A ratio that pairs do not decide says neither that the claim holds nor that it does not.
    in_doubt = set(found["figures"].get("in_doubt", ()))
    return found | ({"outcome": "cannot tell"} if in_doubt and broken <= in_doubt else {})


BENCHMARK = Benchmark(
    claim="on pipelines of public shapes stage, limit, findings, memory and elements are those of plain loops",
    cases=tuple(CASES),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
