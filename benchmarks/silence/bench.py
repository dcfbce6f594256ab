"""Silence: whether ``pipeprof run`` leaves alone what deserves it, and speaks of the near twin that does not.

Each case of cases.py is a real run of a spec or a function in this folder: ten healthy pipelines, habits that cost
nothing, traps in which a rule that looks at the graph alone gives advice that does nothing or harms, and twins that
differ in the one thing that matters. Demanded:

* the command ends with 0, the profile is complete and no rule failed;
* the findings and ideas that must speak do, and no other: a silent case has no finding on speed, no change that was
  measured to help, and of memory and correctness only what its case names;
* where the device never waits the verdict is `step` and says that the pipeline keeps up, or how little a free one would
  save; without a step, and where the pipeline is too slow for it, it is `input`; where the case names a limit, the
  verdict names the same;
* a change holds what the case says it must, and moves no stage where that would change what a filter sees.

A case that does not hold while pipeprof itself reports a disturbed measurement, or that the hypervisor took 2 % of the
cores, is run again, three times in all. Of one that still does not hold, the outcome is "cannot tell".
Needs two cores and 3 GB of memory.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from cases import CASES, LEFT_ALONE, Case

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from run import Benchmark, claimed, is_disturbed, main, pipeprof, read_json, until_undisturbed

PIPEPROF = """
import os
from pipeprof.cli.main import main
cores = {cores}
if cores:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
main()
"""
SECONDS = 2
PATIENCE = 600
KEPT = ("verdict", "steps", "headspace", "causes", "contention", "findings", "warnings")


def measure(case: Case) -> tuple[int, dict[str, Any]]:
    """One run: the exit code and the profile, empty if there is none."""
    program = [sys.executable, "-c", PIPEPROF.format(cores=case.cores)]
    run = ["run", str(HERE / case.target), *case.options, "--seconds", str(SECONDS), "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "profile.json")
        done = pipeprof(*run, "--out", out, folder=folder, patience=PATIENCE, program=program)
        return done.returncode, read_json(out)


def is_advice(finding: dict[str, Any]) -> bool:
    """Whether a finding asks for something: not an upper bound, nor a change that was not measured to help."""
    open_or_bound = finding["rule"] == "measured" or finding["status"] == "rejected" or finding["unfinished"]
    return finding["family"] != "speed" or not open_or_bound


def judge(case: Case, exit_code: int, profile: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What the run said, and which of the demands hold."""
    if exit_code or not profile.get("complete"):
        return {"exit_code": exit_code}, {"finished": False}
    verdict, steps, findings = profile["verdict"], profile["steps"], profile["findings"] or []
    said = {finding["rule"] for finding in findings if is_advice(finding)}
    figures = {
        "exit_code": exit_code,
        "sentence": verdict["sentence"],
        "bound": verdict["bound"],
        "limit": verdict["limit"],
        "wait_share": round(steps["wait_share"], 4),
        "findings": [{key: finding[key] for key in ("rule", "family", "status")} for finding in findings],
    }
    expected = {"bound": case.bound, "limit": case.limit, "says": sorted(case.says), "may_say": sorted(case.may_say)}
    claims = {
        "finished": True,
        "no_rule_failed": all(message["code"] != "rule-failed" for message in profile["warnings"]),
        "speaks": case.says <= said,
        "silent": said <= case.says | case.may_say,
        "change": all(
            part in (finding["change"] or "")
            for rule, part in case.change.items()
            for finding in findings
            if finding["rule"] == rule
        ),
        "moves": case.moves or "MoveStage" not in json.dumps([finding["edit"] for finding in findings]),
    }
    if case.bound:
        claims["bound"] = verdict["bound"] == case.bound
    if case.bound == "step":
        claims["left_alone"] = any(text in verdict["sentence"] for text in LEFT_ALONE)
    if case.limit:
        claims["limit"] = verdict["limit"] == case.limit
    return figures | {"expected": {key: value for key, value in expected.items() if value}}, claims


def run_case(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures and raw values of one run of a case; prints a line."""
    case, began = CASES[name], time.monotonic()
    exit_code, profile = measure(case)
    found, claims = judge(case, exit_code, profile)
    rules = ", ".join(finding["rule"] for finding in found.get("findings", [])) or "nothing"
    asked = {"about": case.about, "command": " ".join(["pipeprof run", case.target, *case.options])}
    ended = {"seconds": round(time.monotonic() - began, 1)}
    ended |= claimed(name, rules, claims, disturbed=is_disturbed(profile))
    return asked | found | ended, {key: profile.get(key) for key in KEPT}


def measured(name: str, _folder: Path) -> dict[str, Any]:
    """A case, measured again while the machine was disturbed."""
    return until_undisturbed(partial(run_case, name))


BENCHMARK = Benchmark(
    claim="pipelines that deserve no advice on speed get none, and their near twins get theirs",
    cases=tuple(CASES),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
