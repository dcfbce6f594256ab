"""Ten thousand profiles: what adding them costs, how quickly a fleet answers, and whether its regressions are true.

Usage: ``python benchmarks/fleet/bench.py --out FILE [--case NAME …]``. Demanded:

* adding 10,000 profiles takes at most 10 s of CPU and 500 MB, adding them again adds none;
* each question is answered in 100 ms of CPU of this process, its threads included, once the tables are loaded, and a
  whole command takes 500 MB at most;
* of series of 60 runs with a change of 10 % in the middle and noise of 2 %, at least 95 % are found; of those without a
  change at most 0.5 % are called slower or faster, at each noise and mix of hosts.

The profiles are copies of a recorded one, each with its own numbers, of 200 pipelines on 8 hosts; every tenth pipeline
becomes 20 % slower half way. The series are simulated.
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from suite import BROKEN, HOLDS, ROOT, Benchmark, Covers, main

RECORDED = ROOT / "tests" / "recorded" / "profiles" / "jpeg-folder.json"
PROFILES, PIPELINES, HOSTS = 10_000, 200, 8
MOST_SECONDS, MOST_BYTES, MOST_QUESTION = 10.0, 500e6, 0.1
REPEATS = 5
QUESTIONS = ("top", "regressions", "findings", "hosts")
QUERIES = (
    "SELECT pipeline, median(step_ms) FROM runs GROUP BY pipeline ORDER BY 2 DESC LIMIT 10",
    "SELECT op, count(*), avg(share) FROM stages JOIN runs USING (sha256) WHERE limited_by IS NOT NULL GROUP BY op",
)
NOISES = {
    "noise 2 %": (0.02, 0.0),
    "noise 5 %": (0.05, 0.0),
    "noise 10 %": (0.1, 0.0),
    "noise 2 %, hosts differ by 10 %": (0.02, 0.1),
}
RUNS, WITHOUT, WITH = 60, 400, 150
CHANGES = (1.05, 1.1, 1.2)
LEAST_FOUND, MOST_FALSE = 0.95, 0.005
PIPEPROF = "from pipeprof.cli.main import main; main()"

Json = dict[str, Any]


def documents() -> Iterator[Json]:
    """The profiles of the fleet."""
    base = json.loads(RECORDED.read_text(encoding="utf-8"))
    drawn = random.Random(54)  # noqa: S311 - numbers of a benchmark
    began = datetime(2026, 1, 1)
    for number in range(PROFILES):
        pipeline, turn = number % PIPELINES, number // PIPELINES
        slower = 1.2 if pipeline % 10 == 0 and turn >= PROFILES // PIPELINES // 2 else 1.0
        slower *= math.exp(drawn.gauss(0.0, 0.02))
        one = copy.deepcopy(base)
        one["started"] = (began + timedelta(minutes=30 * number)).isoformat() + "+00:00"
        one["labels"] = {"team": f"team-{pipeline % 7}"}
        one["job"], one["commit"] = f"job-{number % 2000}", f"{turn:040x}"
        one["target"] |= {"name": f"pipeline-{pipeline}"}
        one["host"]["name"] = f"host-{drawn.randrange(HOSTS)}"
        one["steps"]["wait_share"] = drawn.random()
        one["steps"]["interval_ms"]["mean"] *= slower
        for name in ("batches_per_second", "elements_per_second"):
            one["throughput"][name] /= slower
        for stage in one["stages"]:
            if stage.get("time_ms_per_batch") is not None:
                stage["time_ms_per_batch"] *= slower * math.exp(drawn.gauss(0.0, 0.02))
        yield one


def folder_of(shared: Path) -> Path:
    """The folder with the profiles, which is made where it is not there."""
    folder = shared / "profiles"
    if not folder.exists():
        partly = shared / "partly"
        partly.mkdir(parents=True)
        for number, one in enumerate(documents()):
            (partly / f"{number}.json").write_text(json.dumps(one, indent=2), encoding="utf-8")
        partly.rename(folder)
    return folder


def command(cwd: Path, *words: str) -> Json:
    """Run a command of `pipeprof fleet`: its document, seconds of CPU and peak of resident memory."""
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            [sys.executable, "-c", PIPEPROF, "fleet", *words, "--json"], cwd=cwd, stdout=printed, stderr=sys.stderr
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        said = json.loads(printed.read() or b"null")
    return {
        "code": process.returncode,
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "peak_bytes": used.ru_maxrss * 1024,
        "document": said,
    }


def fleet_in(shared: Path) -> Path:
    """The folder with the fleet of all profiles, which is made where it is not there."""
    place = shared / "made"
    if not place.exists():
        place.mkdir()
        command(place, "add", str(folder_of(shared)))
    return place


def adding(_name: str, shared: Path) -> Json:
    """Add all profiles, and once more."""
    folder = folder_of(shared)
    raw = []
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(2):
            found = command(Path(scratch), "add", str(folder))
            said = found.pop("document")
            raw.append({**found, "added": said["added"], "known": said["known"], "skipped": len(said["skipped"])})
        stored = sum(path.stat().st_size for path in Path(scratch).rglob("*.parquet"))
    first, again = raw
    figures = {
        "profiles": first["added"],
        "add_cpu_seconds": first["cpu_seconds"],
        "add_again_cpu_seconds": again["cpu_seconds"],
        "peak_mb": round(max(one["peak_bytes"] for one in raw) / 1e6),
        "read_mb": round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6),
        "stored_mb": round(stored / 1e6, 2),
    }
    holds = (first["added"], again["added"], again["known"]) == (PROFILES, 0, PROFILES)
    holds = holds and all(one["cpu_seconds"] <= MOST_SECONDS and one["peak_bytes"] <= MOST_BYTES for one in raw)
    return {"outcome": HOLDS if holds else BROKEN, "figures": figures, "raw": {"commands": raw}}


def asking(_name: str, shared: Path) -> Json:
    """Ask each question several times in one process, and once as a command."""
    from pipeprof.profiles.document.subject import Tool
    from pipeprof.profiles.fleet.folder import DEFAULT, open_fleet
    from pipeprof.profiles.fleet.questions import Choice, answer

    place = fleet_in(shared)
    tool = Tool(version="benchmark")
    raw: Json = {"load": [], "commands": {}}
    for _ in range(REPEATS):
        began = time.process_time()
        database = open_fleet(place / DEFAULT)
        raw["load"].append(time.process_time() - began)
    hours = {f"job-{number}": 100.0 for number in range(2000)}
    for question in QUESTIONS:
        given = hours if question == "top" else None
        raw[question] = [
            _cpu(lambda: answer(database, question, Choice(), fleet="", tool=tool, hours=given))  # noqa: B023
            for _ in range(REPEATS)
        ]
        raw["commands"][question] = command(place, question)
    for number, query in enumerate(QUERIES):
        raw[f"query {number}"] = [_cpu(lambda: database.query(query, 60.0)) for _ in range(REPEATS)]  # noqa: B023
        raw["commands"][f"query {number}"] = command(place, "query", query)
    found = raw["commands"]["regressions"]["document"]["regressions"]
    planted = {f"pipeline-{number}" for number in range(0, PIPELINES, 10)}
    named = [row["pipeline"] for row in found]
    for one in raw["commands"].values():
        del one["document"]
    asked = [name for name in raw if name not in ("load", "commands")]
    figures = {
        "load_ms": round(1e3 * min(raw["load"]), 1),
        "slowest_question_ms": round(1e3 * max(min(raw[name]) for name in asked), 1),
        "slowest_command_cpu_seconds": max(one["cpu_seconds"] for one in raw["commands"].values()),
        "peak_mb": round(max(one["peak_bytes"] for one in raw["commands"].values()) / 1e6),
        "planted_found": len(planted & set(named)),
        "planted": len(planted),
        "false": len(set(named) - planted),
    }
    holds = figures["slowest_question_ms"] <= 1e3 * MOST_QUESTION and figures["peak_mb"] <= MOST_BYTES / 1e6
    holds = holds and set(named) == planted and all(one["code"] == 0 for one in raw["commands"].values())
    return {"outcome": HOLDS if holds else BROKEN, "figures": figures, "raw": raw}


def _cpu(call: Any) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def series(noise: float, between: float, change: float, seed: int) -> tuple[list[float], list[str]]:
    """Logarithms of the times of a series with a change in the middle, and the hosts."""
    drawn = random.Random(seed)  # noqa: S311 - as above
    own = [drawn.gauss(0.0, between) for _ in range(HOSTS if between else 1)]
    names = [drawn.randrange(len(own)) for _ in range(RUNS)]
    late = math.log(change)
    values = [
        own[name] + drawn.gauss(0.0, noise) + (late if place >= RUNS // 2 else 0.0) for place, name in enumerate(names)
    ]
    return values, [f"host-{name}" for name in names]


def simulating(name: str, _shared: Path) -> Json:
    """Count changes that are found in simulated series, and those that chance makes."""
    from pipeprof.profiles.fleet.shifts import shifts

    noise, between = NOISES[name.partition(": ")[2]]
    false = sum(bool(shifts(*series(noise, between, 1.0, seed))) for seed in range(WITHOUT))
    found = {
        change: sum(
            any(
                one.change.mean > 0 and abs(one.at - RUNS // 2) <= 3
                for one in shifts(*series(noise, between, change, seed))
            )
            for seed in range(WITHOUT, WITHOUT + WITH)
        )
        for change in CHANGES
    }
    figures = {"false_share": false / WITHOUT, "series": WITHOUT + WITH * len(CHANGES)}
    figures |= {f"found_share_{round(100 * change - 100)}_percent": count / WITH for change, count in found.items()}
    holds = false <= MOST_FALSE * WITHOUT and (noise > 0.02 or between > 0 or found[1.1] >= LEAST_FOUND * WITH)
    return {"outcome": HOLDS if holds else BROKEN, "figures": figures, "raw": {"false": false, "found": found}}


def measure(name: str, shared: Path) -> Json:
    """Measure one case."""
    by_name = {"add": adding, "questions": asking}
    return by_name.get(name, simulating)(name, shared)


SIMULATED = tuple(f"regressions: {name}" for name in NOISES)
BENCHMARK = Benchmark(
    claim=f"{PROFILES:,} profiles are added in {MOST_SECONDS:g} s of CPU, each question is answered in "
    f"{1e3 * MOST_QUESTION:g} ms, both in {MOST_BYTES / 1e6:g} MB; of changes of 10 % at a noise of 2 % "
    f"{LEAST_FOUND:.0%} are found, and of series without one {MOST_FALSE:.1%} are called changed at most",
    cases=("add", "questions", *SIMULATED),
    measure=measure,
    covers=Covers(("fleet",)),
    covers_of={name: Covers(("pipeprof.profiles.fleet.shifts",)) for name in SIMULATED},
    seconds=60.0,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
