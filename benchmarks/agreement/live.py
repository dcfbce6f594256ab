"""The same change on the same pipeline has the same verdict in ``run``, ``fix`` and ``compare``, live.

Usage: ``python benchmarks/agreement/live.py --out FILE [--only NAME …] [--pairs 5]``. Of each of six changes
(changes.py), three of them clear and three near the floor of 3 %, each command measures and decides by itself: ``run``
by a trial, ``fix`` by a race and the proof, ``compare`` by its command. A verdict is ``faster``, ``no gain`` (for
certain) or ``cannot tell``.

Holds if the three clear changes have one verdict in all commands, and no command calls a change faster that another one
calls no gain. Where a clear change could not be told, the outcome is "cannot tell" (exit code 3). FILE is written after
each change. Ten to twenty minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from changes import CHANGES, CLEAR, write

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.experiment.jobs import Change, JobMaker
from pipeprof.profiles.experiment.team import Team
from pipeprof.profiles.fix.race import Races, Rival
from pipeprof.profiles.fix.search import Aim, decide_all
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.verify.plan import Pace
from pipeprof.profiles.verify.trials import Trial, Trials

STEP_SECONDS = 0.0165
"""Of the pipeline as it is: four waits of 4 ms."""
PACE = Pace(
    block=TurnRequest("block", 0.35, 8, 0.05),
    warm=TurnRequest("warm", 1.0),
    start_seconds=20.0,
    digest_seconds=0.2,
    round_seconds=1.6,
    step_seconds=STEP_SECONDS,
)
TRIAL_SECONDS = 40.0
CLAIM = "three clear changes have one verdict in run, fix and compare; of three near 3 % no two contradict each other"
RUN = {"kept": "faster", "rejected": "no gain", "unverified": "cannot tell"}
FIX = {"faster": "faster", "no-gain": "no gain"}
COMPARE = {"faster": "faster", "slower": "no gain", "no difference": "no gain"}


def by_trial(team: Team, jobs: JobMaker, flag: str) -> Trial:
    """Measure a change as ``run`` does, and as the proof of ``fix`` does."""
    until = time.monotonic() + TRIAL_SECONDS
    trials = Trials(team, PACE, jobs.as_it_is, until=until, timeout=60.0, progress=Silent())
    try:
        return trials.measure(jobs.edited(Change((flag,))), "same", for_memory=False)
    finally:
        team.end()


def by_fix(team: Team, jobs: JobMaker, flag: str) -> tuple[str, dict[str, Any]]:
    """Race a change, and prove it where it is faster."""
    races = Races(team, PACE, timeout=60.0, left=lambda: 60.0, tick=lambda *_: None)
    job = jobs.edited(Change((flag,)))["B1"]
    raced = races.run(jobs.as_it_is, {"C1": Rival(job, "same")})
    team.end()
    decision = decide_all(raced, {"C1": Proposal(flag, "", ())}, Aim())["C1"]
    found: dict[str, Any] = {"race": decision.reason, "ratios": [round(one, 4) for one in raced["C1"].ratios]}
    verdict = FIX.get(decision.kind, "cannot tell")
    if verdict == "faster":
        proof = by_trial(team, jobs, flag)
        verdict, found["proof"] = RUN[proof.status], proof.reason
    return verdict, found


def by_compare(spec: Path, flag: str, pairs: int) -> tuple[str, dict[str, Any]]:
    """Compare the pipeline with the changed one by the command."""
    program = [sys.executable, "-c", "from pipeprof.cli.main import main; main()", "compare", str(spec)]
    words = ["--b-set", flag, "--pairs", str(pairs), "--json", "--quiet", "--no-lock"]
    done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=300, check=True, cwd=spec.parent)
    row = next(row for row in json.loads(done.stdout)["metrics"] if row["name"] == "step_ms")
    verdict = "no gain" if row["rules_out"] == "faster" else COMPARE.get(row["words"], "cannot tell")
    return verdict, {key: row[key] for key in ("change", "low", "high", "words", "rules_out", "disturbed")}


def conclude(raw: dict[str, Any]) -> dict[str, Any]:
    """Whether the claim holds of what was measured so far."""
    verdicts = {name: row["verdicts"] for name, row in raw.items()}
    contradicted = [name for name, row in verdicts.items() if {"faster", "no gain"} <= set(row.values())]
    clear = [set(verdicts[name].values()) for name in CLEAR if name in verdicts]
    undecided = any("cannot tell" in found for found in clear) or len(raw) < len(CHANGES)
    outcome = "does not hold" if contradicted else "cannot tell" if undecided else "holds"
    figures = {"contradicted": contradicted, "changes": len(raw), "alike": sum(len(found) == 1 for found in clear)}
    return {
        "claim": CLAIM, "holds": outcome == "holds", "outcome": outcome, "figures": {**figures, **verdicts}, "raw": raw
    }  # fmt: skip


def main() -> None:
    """Measure, and say whether the claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    raw: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        spec = write(Path(folder))
        settings = RunSettings(parse_target(str(spec)), check_spec(spec), ["pipeprof"], lock=False)
        jobs = JobMaker(
            settings,
            lambda flags: check_spec(spec, flags),
            memory_limit=None,
            digest_seconds=0.2,
            data_progress=lambda *_: None,
        )
        for name in given.only:
            flag = CHANGES[name]
            with Signals().installed() as signals, Team(signals, None).closing() as team:
                trial = by_trial(team, jobs, flag)
                fixed, of_fix = by_fix(team, jobs, flag)
            compared, of_compare = by_compare(spec, flag, given.pairs)
            raw[name] = {
                "verdicts": {"run": RUN[trial.status], "fix": fixed, "compare": compared},
                "run": trial.reason,
                "fix": of_fix,
                "compare": of_compare,
            }
            given.out.write_text(json.dumps(conclude(raw), indent=1) + "\n")
            print(f"{name}: {raw[name]['verdicts']}", flush=True)
    sys.exit({"holds": 0, "does not hold": 1, "cannot tell": 3}[conclude(raw)["outcome"]])


if __name__ == "__main__":
    main()
