"""A tf.data service: what limits a pipeline that reads from one, why one gives nothing, and what its workers compute.

Usage: ``python benchmarks/service/bench.py --out FILE [--case NAME …]``. Four kinds of cases:

``place: …``  a pipeline that ends in `distribute`: the run names the place that limits it, and the stage with most of
              the work on the workers.
``fault: …``  a service that fails, or a command that asks for what is not there: the cause is in the message, and the
              exit code is the documented one.
``costs: …``  the same pipeline without a service and with one: of the CPU time of the stages, the share of each on the
              workers is within ten points of what it is locally. A pair is repeated up to three times, of which the
              median counts.
``ended: …``  the parent of a run with local workers is killed at twenty moments: no process of it is left ten seconds
              later.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import psutil
from cases import ATTRIBUTED, CUT, FAULTS, PLACES, SPEC, Fault, Place
from cluster import RUN_SECONDS, Cluster, cluster, command, environment, run
from suite import BROKEN, HOLDS, RUN_ALONE, Benchmark, main
from tries import is_disturbed, outcome_of, until_undisturbed

SECONDS = ("--seconds", "3")
POINTS = 0.10
"""Difference of a stage's share of the CPU time, at most."""
PAIRS = 3
KILLS = 20
GONE_SECONDS = 10.0
MARK = "BENCHMARK_OF"
"""A variable of the environment by which all processes of a run are found."""
ENDED = f"ended: the parent is killed {KILLS} times"

Json = dict[str, Any]


def place(folder: Path, case: Place) -> Json:
    """Run a pipeline and see what is named; again where the machine was disturbed and it is not what is wanted."""
    (folder / "spec.yaml").write_text(SPEC.replace("MAP", "slow").replace("SERVICE", "local"))
    with ExitStack() as ending:
        address = "" if case.local else ending.enter_context(cluster(folder, case.workers)).address
        figures, raw = until_undisturbed(lambda: _place(folder, case, address))
    return {"outcome": outcome_of({"place": figures}), "figures": figures, "raw": raw}


def _place(folder: Path, case: Place, address: str) -> tuple[Json, Json]:
    code, profile, said = run(folder, [*case.words(address), *SECONDS])
    verdict, stages = profile.get("verdict") or {}, profile.get("stages") or []
    named = next((stage for stage in stages if stage["id"] == verdict.get("stage")), None)
    costs = {(stage["name"] or stage["op"]): stage["on_workers"] for stage in stages if stage["on_workers"]}
    most = max(costs, key=lambda name: costs[name]["share"] or 0.0, default=None)
    limit, op = verdict.get("limit"), named["op"] if named else None
    # As terminals wrap it.
    is_said = code == 5 and case.said in " ".join(said.split())
    holds = is_said if case.limit is None else limit == case.limit and case.stage in (None, op)
    holds = holds and case.on_workers in (None, most)
    figures = {
        "holds": holds,
        "disturbed": is_disturbed(profile),
        "limit": limit,
        "stage": op,
        "on_workers": most,
        "exit_code": code,
        "headline": verdict.get("headline"),
        "shares_on_workers": {name: cost["share"] for name, cost in costs.items()},
    }
    return figures, {} if holds else {"said": said[-3000:]}


def fault(folder: Path, case: Fault) -> Json:
    """Make a fault and see whether its cause is named."""
    with ExitStack() as ending:
        made = Cluster(folder)
        if case.workers is not None:
            made = ending.enter_context(cluster(folder, case.workers))
        else:
            ending.callback(made.end)
        address = (case.before(made, folder) if case.before is not None else None) or made.address
        words, began = case.words(address), time.monotonic()
        if case.run:
            during = (lambda: case.during(made)) if case.during is not None else None
            code, profile, said = run(folder, words, during, at=case.at)
        else:
            done = subprocess.run(
                command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False
            )
            code, profile, said = done.returncode, {}, done.stdout + done.stderr
        seconds = time.monotonic() - began
    # As terminals wrap it.
    flat = " ".join(said.split())
    codes = [problem["code"] for problem in profile.get("errors") or []]
    holds = code == case.code and case.said in flat and (code != 5 or not case.run or codes == [case.problem])
    figures = {"exit_code": code, "codes": codes, "seconds": round(seconds, 1), "steps": _steps(profile)}
    return {"outcome": HOLDS if holds else BROKEN, "figures": figures, "raw": {} if holds else {"said": said[-3000:]}}


def _steps(profile: Mapping[str, Any]) -> int | None:
    return profile["steps"]["count"] if profile.get("steps") else None


def costs(folder: Path, text: str) -> Json:
    """Compare the shares of the stages' CPU time on a worker with those without a service."""
    (folder / "local.yaml").write_text(text)
    (folder / "remote.yaml").write_text(text + CUT)
    pairs, largest, disturbed = [], [], False
    for _ in range(PAIRS):
        profiles = [run(folder, [f"{name}.yaml", *SECONDS])[1] for name in ("local", "remote")]
        here, there = (profile["stages"] for profile in profiles)
        disturbed = disturbed or any(map(is_disturbed, profiles))
        local = _shares({stage["id"]: stage["cpu_ms_per_batch"] for stage in here if stage["origin"] == "written"})
        remote = _shares(
            {
                stage["id"]: (stage["on_workers"] or {}).get("cpu_ms_per_batch")
                for stage in there
                if stage["id"] in local
            }
        )
        differences = {name: remote.get(name, 0.0) - share for name, share in local.items()}
        pairs.append({"local": local, "workers": remote})
        largest.append(max(map(abs, differences.values())))
    worst = statistics.median(largest)
    figures = {"holds": worst <= POINTS, "disturbed": disturbed, "largest_difference_points": round(100 * worst, 1)}
    return {"outcome": outcome_of({"costs": figures}), "figures": figures, "raw": {"pairs": pairs, "largest": largest}}


def _shares(times: Mapping[str, float | None]) -> dict[str, float]:
    total = sum(value or 0.0 for value in times.values())
    return {name: (value or 0.0) / total for name, value in times.items()} if total else {}


def ended(folder: Path) -> Json:
    """Kill the parent of a run at many moments and count what is left of it."""
    (folder / "spec.yaml").write_text(SPEC.replace("MAP", "slow").replace("SERVICE", "local"))
    # One that is not killed says how long it takes, so that the moments are spread over all phases.
    alone = _killed(folder, 0, None)
    if alone["exit_code"] != 0:
        msg = f"the run that is not killed ends with {alone['exit_code']}"
        raise ChildProcessError(msg)
    whole = alone["seconds"]
    rows = [_killed(folder, number, whole * (number - 0.5) / KILLS) for number in range(1, KILLS + 1)]
    left = sum(row["left"] > 0 for row in rows)
    figures = {
        "kills": KILLS,
        "with_a_process_left": left,
        "most_processes": max(row["processes"] for row in rows),
        "phases": list(dict.fromkeys(row["phase"] for row in rows)),
    }
    return {"outcome": BROKEN if left else HOLDS, "figures": figures, "raw": {"kills": rows, "whole_seconds": whole}}


def _killed(folder: Path, number: int, after: float | None) -> Json:
    """Kill the parent of one run after some seconds, or let it end; say what is left of it ten seconds later."""
    out, mark = folder / f"{number}.json", f"{os.getpid()}-{number}"
    words = command("run", "spec.yaml", "--workers", "2", "--seconds", "3", "--no-verify", "--out", str(out))
    began = time.monotonic()
    process = subprocess.Popen(
        words, cwd=folder, env=environment() | {MARK: mark}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(RUN_SECONDS if after is None else after)
    seconds = time.monotonic() - began
    was_over = process.poll() is not None
    # Its family when it is killed; all of it has the variable, wherever it went.
    processes = len(_marked(mark))
    process.kill()
    process.wait()
    end = time.monotonic() + GONE_SECONDS
    while (alive := _marked(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    for one in alive:
        with suppress(psutil.Error):
            one.kill()
    phases = json.loads(out.read_text())["phases"] if out.exists() else []
    phase = "over" if was_over else phases[-1]["name"] if phases else "before"
    return {
        "after_seconds": round(after or 0.0, 2),
        "seconds": round(seconds, 2),
        "phase": phase,
        "exit_code": process.returncode,
        "processes": processes,
        "left": len(alive),
    }


def _marked(mark: str) -> list[psutil.Process]:
    """Processes that run with a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def measure(name: str, _inputs: Path) -> Json:
    """Measure one case in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="pipeprof-service-") as text:
        folder = Path(os.path.realpath(text))
        shutil.copy(HERE / "targets.py", folder)
        if name in PLACES:
            return place(folder, PLACES[name])
        if name == ENDED:
            return ended(folder)
        if name in ATTRIBUTED:
            return costs(folder, ATTRIBUTED[name])
        found = fault(folder, FAULTS[name.removeprefix("fault: ")])
    return json.loads(json.dumps(found).replace(str(folder), "FOLDER"))


BENCHMARK = Benchmark(
    claim="of a pipeline that reads from a tf.data service the right place is named; each fault of a service has its "
    "cause and exit code; the CPU shares of stages on the workers are within 10 points of those without a service; "
    "nothing is left of a run that is killed",
    cases=[*PLACES, *(f"fault: {name}" for name in FAULTS), *ATTRIBUTED, ENDED],
    measure=measure,
    covers=RUN_ALONE,
    seconds=30.0,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
