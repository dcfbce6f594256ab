"""What a pipeline of hundreds of stages costs: check, run and show in proportion to their number.

Demanded:

* `check`, `run` and `show` of 500 stages of any kind take at most 3 times the time of as many maps;
* from 125 to 500 stages the time of all three grows at most as the number of maps does, that of `check` as the number
  of stages of any kind: kinds and maps take turns until that is decided;
* a run has a complete report with every stage in it;

and that `check` of a zip of 3,000 pipelines, the list of a function of 250 chained calls, and `check` of a function
with an expression of 1,500 terms end with 0 in 20 s.

``reports of …`` are files of every format that `show` writes of one profile, which may take 2 s of CPU each, the start
of Python included: one of 500 stages, and one of a run of hours with a sample for every two seconds. A file over the
limit is written again, up to three times, and the least counts: beside other programs it takes more CPU time.

BENCHMARK_THROUGH is a command that each pipeprof is started through; what it waits for does not count.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from run import MOST_TRIES, PIPEPROF, ROOT, Benchmark, main, pipeprof, read_json, result
from shapes import KINDS, chain, chained_calls, many_terms, zipped
from stopping import outcome, until_decided

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
REPORT_SECONDS = 2.0
"""CPU time of one file."""
RECORDED = ROOT / "tests" / "recorded" / "profiles" / "jpeg-folder.json"
EXTENSIONS = ("html", "txt", "md", "json", "sarif")
MOST_ROUNDS = 5
FAR = (0.67, 1.5)
"""A run that takes less or more of what it may take than this decides alone: it takes half a minute."""
PATIENCE = 600


def timed(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a command line: its exit code, seconds and the end of its messages."""
    clock = folder / "seconds"
    program = [sys.executable, "-c", CLOCK, str(clock), *PIPEPROF]
    try:
        done = pipeprof(*arguments, folder=folder, patience=PATIENCE, program=program)
    except subprocess.TimeoutExpired:
        return {"exit_code": None, "seconds": PATIENCE, "messages": "no end"}
    seconds = round(float(clock.read_text()), 2)
    return {"exit_code": done.returncode, "seconds": seconds, "messages": done.stderr[-300:] if done.returncode else ""}


class Chains:
    """Commands on chains of stages, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []

    def check(self, kind: str, count: int) -> float:
        """Seconds of a check."""
        spec = self.folder / "spec.yaml"
        spec.write_text(chain(kind, count), encoding="utf-8")
        return self._seconds(f"check of {count} × {kind}", timed(self.folder, "check", "--no-build", str(spec)))

    def run(self, kind: str, count: int) -> dict[str, float]:
        """Seconds of a run and of showing its profile."""
        spec, profile = self.folder / "spec.yaml", self.folder / "profile.json"
        spec.write_text(chain(kind, count), encoding="utf-8")
        profile.unlink(missing_ok=True)
        options = ["--seconds", "2", "--no-verify", "--quiet", "--out", str(profile), "--force"]
        name = f"{count} × {kind}"
        found = {
            "run": self._seconds(f"run of {name}", timed(self.folder, "run", str(spec), *options)),
            "show": self._seconds(f"show of {name}", timed(self.folder, "show", str(profile), "-v")),
        }
        written = read_json(profile)
        stages = sum(one["origin"] == "written" for one in written.get("stages") or [])
        if not written.get("complete") or stages < count:
            self.faults.append(f"the report of {name} is not complete")
        return found

    def _seconds(self, name: str, found: dict[str, Any]) -> float:
        if found["exit_code"] != 0:
            self.faults.append(f"{name} ended with {found['exit_code']}: {found['messages']}")
        return float(found["seconds"])


def over_limit(seconds: float, as_many_maps: float | None, fewest: float | None) -> float:
    """How much of what it may take a command takes, beside as many maps and the fewest of the kind; 1 at most: pure."""
    shares = []
    if as_many_maps is not None:
        shares.append(seconds / (AS_MAPS * as_many_maps + SLACK_SECONDS))
    if fewest is not None:
        shares.append(seconds / (COUNTS[1] / COUNTS[0] * fewest + SLACK_SECONDS))
    return max(shares)


def check_kind(chains: Chains, kind: str) -> tuple[list[float], list[dict[str, float]]]:
    """Shares of what checks of a kind may take, and their seconds, until it is decided."""
    rounds: list[dict[str, float]] = []

    def measure(_number: int) -> float:
        found = {"fewest": chains.check(kind, COUNTS[0]), "most": chains.check(kind, COUNTS[1])}
        if kind != "map":
            found["maps"] = chains.check("map", COUNTS[1])
        rounds.append(found)
        return over_limit(found["most"], found.get("maps"), found["fewest"])

    return until_decided(measure, [1.0], MOST_ROUNDS), rounds


def run_kind(chains: Chains, kind: str) -> tuple[list[float], list[dict[str, float]]]:
    """The same of runs, and of showing their profiles. A single one decides where it is far from what it may take."""
    rounds: list[dict[str, float]] = []

    def measure(_number: int) -> float:
        most = chains.run(kind, COUNTS[1])
        # Growth is measured of maps; of the other kinds a run of few stages costs nearly the same.
        fewest = chains.run(kind, COUNTS[0]) if kind == "map" else {}
        maps = chains.run("map", COUNTS[1]) if kind != "map" else {}
        row = {"most": most, "fewest": fewest, "maps": maps}
        rounds.append({f"{place}_{command}": value for place, one in row.items() for command, value in one.items()})
        return max(over_limit(most[command], maps.get(command), fewest.get(command)) for command in most)

    first = measure(0)
    if not FAR[0] < first < FAR[1]:
        return [first], rounds
    return [first, *until_decided(measure, [1.0], MOST_ROUNDS - 1, MOST_ROUNDS - 1)], rounds


def measure_large(folder: Path, name: str) -> dict[str, Any]:
    """A command on what is large in another way than by a chain of stages."""
    file, made, command = LARGE[name]
    (folder / file.partition(":")[0]).write_text(made(), encoding="utf-8")
    return timed(folder, *command.split(), file)


def of_stages(profile: dict[str, Any]) -> None:
    """Give a profile 500 stages."""
    source, _, model, *_ = profile["stages"]
    copies = [
        {**model, "id": f"stages.{number}", "name": f"step_{number}", "share": 1 / COUNTS[1]}
        for number in range(COUNTS[1])
    ]
    profile["stages"] = [source, *copies]


def of_hours(profile: dict[str, Any]) -> None:
    """Give a profile a million steps, and samples over them."""
    samples = 20_000
    profile["steps"]["count"] = 10**6
    profile["steps"]["seconds"] = 2.0 * samples
    profile["series"].update(
        seconds=[2.0 * number for number in range(samples)],
        rss_bytes=[600_000_000 + 1000 * number for number in range(samples)],
        batches_per_second=[20.0 + number % 5 for number in range(samples)],
        phase=["measure"] * samples,
    )


def measure_reports(folder: Path, name: str) -> dict[str, Any]:
    """CPU seconds of each file that `show` writes of a profile, and what failed."""
    profile = json.loads(RECORDED.read_text(encoding="utf-8"))
    REPORTS[name](profile)
    (folder / "profile.json").write_text(json.dumps(profile), encoding="utf-8")
    tries: dict[str, list[float]] = {extension: [] for extension in EXTENSIONS}
    faults: list[str] = []
    for extension, taken in tries.items():
        while not faults and len(taken) < MOST_TRIES and (not taken or taken[-1] > REPORT_SECONDS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            found = timed(folder, "show", "profile.json", "--out", f"report.{extension}", "--force")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken.append(round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2))
            if found["exit_code"] != 0:
                faults.append(f"{extension} ended with {found['exit_code']}: {found['messages']}")
    seconds = {extension: min(taken) for extension, taken in tries.items() if taken}
    holds = not faults and max(seconds.values()) <= REPORT_SECONDS
    print(f"{name}: {seconds} s of CPU {'; '.join(faults)}", flush=True)
    return result(holds, {"cpu_seconds": seconds, "faults": faults}, {"tries": tries})


def measured(name: str, _folder: Path) -> dict[str, Any]:
    """The checks or the runs of a kind, what is large, or the reports of what is large."""
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own)
        timed(folder, "--version")  # what a first start has to load
        if name in REPORTS:
            return measure_reports(folder, name)
        if name in LARGE:
            found = measure_large(folder, name)
            holds = found["exit_code"] == 0 and found["seconds"] <= LARGE_SECONDS
            print(f"{name}: {found['seconds']} s", flush=True)
            return result(holds, found, {})
        command, _, kind = name.partition(" ")
        chains = Chains(folder)
        shares, rounds = (check_kind if command == "check" else run_kind)(chains, kind)
    said = outcome_of_rounds(shares, chains.faults)
    figures = {
        "share_of_limit": [round(share, 3) for share in shares],
        "seconds": {key: round(median(row[key] for row in rounds), 2) for key in rounds[0]},
        "faults": chains.faults,
    }
    print(f"{name}: {max(shares):.0%} of what it may take; {said} {'; '.join(chains.faults)}", flush=True)
    return {"outcome": said, "figures": figures, "raw": {"rounds": rounds}}


def outcome_of_rounds(shares: list[float], faults: list[str]) -> str:
    """Whether what was measured stays within what it may take: pure."""
    if faults:
        return "does not hold"
    if len(shares) == 1 and not FAR[0] < shares[0] < FAR[1]:
        return "holds" if shares[0] <= 1 else "does not hold"
    return outcome(shares, 1.0, at_least=False)


LARGE = {
    "check of a zip of 3,000 pipelines": ("zip.yaml", lambda: zipped(3000), "check --no-build"),
    "list of 250 chained calls": ("calls.py:", lambda: chained_calls(250), "check"),
    "check of 1,500 terms": ("terms.py:make", lambda: many_terms(1500), "check"),
}
REPORTS = {"reports of 500 stages": of_stages, "reports of a run of hours": of_hours}
BENCHMARK = Benchmark(
    claim=f"check, run and show of {COUNTS[-1]} stages of any kind take at most {AS_MAPS:g} times the time of as many "
    f"maps, which take no longer per stage than {COUNTS[0]}; a zip of 3,000 pipelines, 250 chained calls and an "
    f"expression of 1,500 terms are checked in {LARGE_SECONDS:g} s; every report of 500 stages, and of a run of hours, "
    f"takes at most {REPORT_SECONDS:g} s of CPU to write",
    cases=(*(f"{command} {kind}" for command in ("check", "run") for kind in KINDS), *LARGE, *REPORTS),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
