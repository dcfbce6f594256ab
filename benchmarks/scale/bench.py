"""What a pipeline of hundreds of stages costs: check, run and show in proportion to their number.

Usage: ``python benchmarks/scale/bench.py --out FILE [--kind NAME …] [--no-runs]``. Demanded:

* `check`, `run` and `show` of 500 stages of any kind take at most 3 times the time of as many maps;
* from 125 to 500 stages the time of all three grows at most as the number of maps does, that of `check` as the number
  of stages of any kind;
* a run has a complete report with every stage in it;

and that `check` of a zip of 3,000 pipelines, the list of a function of 250 chained calls, and `check` of a function
with an expression of 1,500 terms end with 0 in 20 s.

PIPEPROF_BENCHMARK_THROUGH is a command that each pipeprof is started through; what it waits for does not count. Eight
minutes with all runs, one without.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from shapes import KINDS, chain, chained_calls, many_terms, zipped

PIPEPROF = "from pipeprof.cli.main import main; main()"
CLOCK = """
import pathlib, subprocess, sys, time
began = time.monotonic()
code = subprocess.call(sys.argv[2:])
pathlib.Path(sys.argv[1]).write_text(str(time.monotonic() - began))
sys.exit(code)
"""
"""Started through the command of the environment: it takes the time of what it starts."""
COUNTS = (125, 500)
AS_MAPS = 3.0
SLACK_SECONDS = 1.0
"""Of a command that takes a second or less: what another process may add to it."""
LARGE_SECONDS = 20.0
PATIENCE = 600


def timed(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a command line: its exit code, seconds and the end of its messages."""
    through, clock = shlex.split(os.environ.get("PIPEPROF_BENCHMARK_THROUGH", "")), folder / "seconds"
    try:
        done = subprocess.run(
            [*through, sys.executable, "-c", CLOCK, str(clock), sys.executable, "-c", PIPEPROF, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"exit_code": None, "seconds": PATIENCE, "messages": "no end"}
    seconds = round(float(clock.read_text()), 2)
    return {"exit_code": done.returncode, "seconds": seconds, "messages": done.stderr[-300:] if done.returncode else ""}


def measure_chain(folder: Path, kind: str, count: int, *, runs: bool) -> dict[str, Any]:
    """Check, run and show one chain."""
    spec, profile = folder / "spec.yaml", folder / "profile.json"
    spec.write_text(chain(kind, count), encoding="utf-8")
    profile.unlink(missing_ok=True)
    found: dict[str, Any] = {"kind": kind, "count": count, "check": timed(folder, "check", str(spec))}
    if runs:
        found["run"] = timed(
            folder,
            "run",
            str(spec),
            "--seconds",
            "2",
            "--no-lock",
            "--no-verify",
            "--quiet",
            "--out",
            str(profile),
            "--force",
        )
        found["show"] = timed(folder, "show", str(profile), "-v")
        written = json.loads(profile.read_text(encoding="utf-8")) if profile.exists() else {}
        found["complete"] = written.get("complete")
        found["written_stages"] = sum(one["origin"] == "written" for one in written.get("stages") or [])
    return found


def faults_of(measured: list[dict[str, Any]]) -> list[str]:
    """Say what does not hold of the chains."""
    found = []
    by_place = {(one["kind"], one["count"]): one for one in measured}
    for one in measured:
        kind, count = one["kind"], one["count"]
        name = f"{count} × {kind}"
        for command in ("check", "run", "show"):
            if command not in one:
                continue
            seconds = one[command]["seconds"]
            if one[command]["exit_code"] != 0:
                found.append(f"{command} of {name} ended with {one[command]['exit_code']}")
            maps = by_place.get(("map", count))
            if maps is not None and seconds > AS_MAPS * maps[command]["seconds"] + SLACK_SECONDS:
                found.append(f"{command} of {name} took {seconds} s, of as many maps {maps[command]['seconds']} s")
            fewest = by_place[kind, COUNTS[0]]
            if command in fewest and seconds > count / COUNTS[0] * fewest[command]["seconds"] + SLACK_SECONDS:
                found.append(f"{command} of {name} took {seconds} s, of {COUNTS[0]} {fewest[command]['seconds']} s")
        if "run" in one and not (one["complete"] and one["written_stages"] >= count):
            found.append(f"the report of {name} is not complete")
    return found


def measure_large(folder: Path) -> dict[str, dict[str, Any]]:
    """Commands on what is large in another way than by a chain of stages."""
    (folder / "zip.yaml").write_text(zipped(3000), encoding="utf-8")
    (folder / "calls.py").write_text(chained_calls(250), encoding="utf-8")
    (folder / "terms.py").write_text(many_terms(1500), encoding="utf-8")
    return {
        "check of a zip of 3,000 pipelines": timed(folder, "check", "zip.yaml"),
        "list of 250 chained calls": timed(folder, "check", "calls.py:"),
        "check of 1,500 terms": timed(folder, "check", "terms.py:make"),
    }


def main() -> int:
    """Measure, write and print the result; 0 if it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the result goes (JSON)")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this one and maps; repeatable")
    parser.add_argument("--no-runs", action="store_true", help="only check")
    options = parser.parse_args()

    kinds = list(dict.fromkeys(["map", *(options.kind or KINDS)]))
    measured = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        timed(folder, "--version")  # what a first start has to load
        # Kinds in turn, so that a change of the machine's speed meets them alike.
        for count in COUNTS:
            for kind in kinds:
                # A run of few stages costs nearly the same for all kinds: it is measured once.
                runs = not options.no_runs and (kind == "map" or count == COUNTS[-1])
                measured.append(measure_chain(folder, kind, count, runs=runs))
                seconds = {
                    command: measured[-1][command]["seconds"]
                    for command in ("check", "run", "show")
                    if command in measured[-1]
                }
                print(
                    f"  {count} × {kind}: " + ", ".join(f"{key} {value} s" for key, value in seconds.items()),
                    flush=True,
                )
        large = measure_large(folder)
    faults = faults_of(measured)
    faults += [
        f"{name}: {one}" for name, one in large.items() if one["exit_code"] != 0 or one["seconds"] > LARGE_SECONDS
    ]
    most = [one for one in measured if one["count"] == COUNTS[-1]]
    result = {
        "claim": f"check, run and show of {COUNTS[-1]} stages of any kind take at most {AS_MAPS:g} times the time of "
        f"as many maps, which take no longer per stage than {COUNTS[0]}; a zip of 3,000 pipelines, 250 chained calls "
        f"and an expression of 1,500 terms are checked in {LARGE_SECONDS:g} s",
        "holds": not faults,
        "figures": {
            f"{command}_{one['kind'].replace(' ', '_')}_{COUNTS[-1]}_seconds": one[command]["seconds"]
            for command in ("check", "run", "show")
            for one in most
            if command in one
        }
        | {f"{name.replace(' ', '_').replace(',', '')}_seconds": one["seconds"] for name, one in large.items()}
        | {"faults": faults},
        "raw": {"chains": measured, "large": large},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    slowest = {
        command: max((one[command]["seconds"] for one in most if command in one), default=None)
        for command in ("check", "run", "show")
    }
    print(f"{COUNTS[-1]} stages, the slowest kind: " + ", ".join(f"{key} {value} s" for key, value in slowest.items()))
    print("; ".join(faults) or "linear in all kinds")
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
