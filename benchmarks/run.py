"""Measures what is claimed of pipeprof: ``python benchmarks/run.py [NAME …] [--case CASE …]`` (``make verify``).

A benchmark is a folder whose ``bench.py`` makes a `Benchmark` and ends with ``sys.exit(main(BENCHMARK))``. Each case is
measured by a process of its own, and kept in benchmarks/results/NAME.json as soon as it is there, with its commit,
date and machine. Ends with 1 if a case does not hold, and with 3 if the others hold and of some the machine cannot
tell.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
HOLDS, BROKEN, UNKNOWN = "holds", "does not hold", "cannot tell"
MOST_TRIES = 3
STOLEN = 0.02
"""Share of the cores that the hypervisor took: what is claimed by the clock to a hundredth is not known beside it."""
OTHERS_BELOW, STOLEN_BELOW = 0.04, 0.03
"""Where a case begins: share of all cores that others use, and what the hypervisor takes of a core that computes."""
LOOK_SECONDS, PAUSE_SECONDS, PATIENCE_SECONDS = 2.0, 5.0, 60.0
"""How long the machine is looked at, the pause between two looks, and how long a case waits for a quiet machine."""

PIPEPROF = (sys.executable, "-c", "from pipeprof.cli.main import main; main()")

Json = dict[str, Any]


class NotMeasuredError(Exception):
    """A case that this machine cannot measure now: what was measured before stays."""


@dataclass(frozen=True)
class Benchmark:
    """A claim and what it is measured on.

    Attributes:
        claim: With its limit.
        cases: Names, in the order in which all of them are measured.
        measure: Measures one, given its name and a folder for shared inputs: ``outcome``, ``figures`` and ``raw``.
        conclude: Outcome and figures of all cases together, where that is more than every one for itself.
    """

    claim: str
    cases: Sequence[str]
    measure: Callable[[str, Path], Json]
    conclude: Callable[[Mapping[str, Json]], tuple[str, Json]] | None = None


def together(outcomes: Sequence[str | None]) -> str:
    """What cases say together; `None` is one that was not measured."""
    if BROKEN in outcomes:
        return BROKEN
    return HOLDS if outcomes and set(outcomes) == {HOLDS} else UNKNOWN


def outcome_of(figures: Mapping[str, Any]) -> str:
    """Whether a case holds, does not, or cannot be told because the machine was disturbed."""
    if figures["holds"]:
        return HOLDS
    return UNKNOWN if figures.get("disturbed") else BROKEN


def is_disturbed(profile: Mapping[str, Any]) -> bool:
    """Whether a profile says that something else took the cores."""
    warned = any(warning["code"] == "disturbed" for warning in profile.get("warnings") or [])
    return warned or ((profile.get("contention") or {}).get("steal_share") or 0.0) >= STOLEN


def is_quiet(before: list[int], after: list[int], mine: float) -> bool:
    """Whether nothing else wants the cores, from two first lines of ``/proc/stat``; `mine` are ticks used meanwhile.

    One core computed between both: nothing is stolen from cores that are idle.
    """
    spent = [now - then for then, now in zip(before, after, strict=True)][:8]
    total, idle, stolen = max(1, sum(spent)), spent[3] + spent[4], spent[7]
    return total - idle - stolen - mine < OTHERS_BELOW * total and stolen < STOLEN_BELOW * (mine + stolen)


def wait_until_quiet() -> None:
    """Wait until nothing else wants the cores, or patience is at its end; on Linux only."""
    stat, end = Path("/proc/stat"), time.monotonic() + PATIENCE_SECONDS
    ticks_per_second = os.sysconf("SC_CLK_TCK")

    def ticks() -> list[int]:
        return [int(word) for word in stat.read_text(encoding="ascii").splitlines()[0].split()[1:]]

    while stat.exists() and time.monotonic() < end:
        before, began, used = ticks(), time.monotonic(), time.process_time()
        while time.monotonic() < began + LOOK_SECONDS:
            pass
        if is_quiet(before, ticks(), (time.process_time() - used) * ticks_per_second):
            return
        time.sleep(PAUSE_SECONDS)


def result(holds: bool, figures: Any, raw: Any) -> Json:
    """What `Benchmark.measure` returns of a case that holds or does not."""
    return {"outcome": HOLDS if holds else BROKEN, "figures": figures, "raw": raw}


def pipeprof(
    *words: str | Path, folder: Path | str, patience: float, program: Sequence[str] = PIPEPROF, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run pipeprof in a folder, through the command in BENCHMARK_THROUGH if there is one; failures are printed."""
    done = subprocess.run(
        [*shlex.split(os.environ.get("BENCHMARK_THROUGH", "")), *program, *words],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )
    if done.returncode:
        print(done.stdout[-2000:], done.stderr, file=sys.stderr)
    return done


def read_json(path: Path) -> Json:
    """A document; empty if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def claimed(name: str, said: str, claims: Mapping[str, bool], *, disturbed: bool) -> Json:
    """Figures of which claims hold; prints a line."""
    broken = [claim for claim, holds in claims.items() if not holds]
    print(f"{name}: {said}; {', '.join(broken) or 'holds'}", flush=True)
    return {"claims": claims, "holds": not broken, "disturbed": disturbed}


def until_undisturbed(measure: Callable[[], tuple[Json, Any]]) -> Json:
    """What `Benchmark.measure` returns of a case: figures and raw values, again while they do not hold, disturbed."""
    before: list[Json] = []
    while True:
        wait_until_quiet()
        figures, raw = measure()
        if figures["holds"] or not figures["disturbed"] or len(before) + 1 == MOST_TRIES:
            return {"outcome": outcome_of(figures), "figures": figures | {"disturbed_tries": before}, "raw": raw}
        before.append(figures)


def cpu_model() -> str:
    """The processor's name where Linux has it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def machine_name() -> str:
    """This machine in a file's name: processor and cores."""
    return f"{re.sub(r'[^a-z0-9]+', '-', cpu_model().lower()).strip('-')}-{os.cpu_count()}"


def machine() -> Json:
    """Where this is measured: system, processor, cores, versions and load."""
    packages = {package: version(package) for package in ("pipeprof", "tensorflow", "numpy")}
    return {
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), **packages},
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }


def git(*arguments: str) -> str:
    """The output of a git command in this checkout."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def head() -> str:
    """The commit that is measured."""
    return git("rev-parse", "HEAD")


def truth_file(benchmark: str) -> Path:
    """Where a benchmark keeps what does not depend on pipeprof and takes long to measure, of this machine."""
    return HERE / benchmark / "truth" / f"{machine_name()}.json"


def store(benchmark: str, name: str, found: Json, *, indent: int | None = 1) -> Json:
    """Keep a truth with commit, date and machine, and return it."""
    today = datetime.date.today().isoformat()
    found = found | {"commit": head(), "date": today, "machine": machine_name()}
    path = truth_file(benchmark)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(read_json(path) | {name: found}, indent=indent) + "\n", encoding="utf-8")
    return found


def wants_truth() -> bool:
    """Whether the stored truth is to be measured again."""
    return os.environ.get("BENCHMARK_TRUTH_AGAIN") == "1"


def public_data(folder: Path) -> None:
    """Make the inputs of the public pipelines in a folder, where they are not."""
    if not (folder / "data").exists():
        subprocess.run([sys.executable, HERE / "public" / "data.py", folder / "data"], check=True)


def _measured(benchmark: Benchmark, name: str, folder: Path) -> Json:
    began = time.monotonic()
    try:
        found = benchmark.measure(name, folder)
    except NotMeasuredError as reason:
        print(f"{name}: not measured: {reason}", flush=True)
        return {"outcome": None, "figures": {"not_measured": str(reason)}, "raw": {}}
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        found = {"outcome": BROKEN, "figures": {"error": f"{type(error).__name__}: {error}"[-2000:]}, "raw": {}}
    return {**found, "seconds": round(time.monotonic() - began, 1)}


def main(benchmark: Benchmark) -> int:
    """The command line of a ``bench.py``: tells its cases, measures one, or says what all say together."""
    parser = argparse.ArgumentParser()
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--list", action="store_true", help="print the claim and the cases (JSON)")
    wanted.add_argument("--conclude", type=Path, metavar="FILE", help="print what the cases of a result say together")
    wanted.add_argument("--case", choices=benchmark.cases, metavar="NAME", help="measure it, and write --out (JSON)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", type=Path, help="a folder to make the inputs in, and to find them in next time")
    given = parser.parse_args()
    if given.list:
        print(json.dumps({"claim": benchmark.claim, "cases": list(benchmark.cases)}))
    elif given.conclude:
        cases = json.loads(given.conclude.read_text(encoding="utf-8"))["cases"]
        cases = {name: case for name, case in cases.items() if case["outcome"] is not None}
        outcomes = [cases[name]["outcome"] if name in cases else None for name in benchmark.cases]
        outcome, figures = benchmark.conclude(cases) if benchmark.conclude else (together(outcomes), {})
        # Of cases that are missing nothing is known.
        print(
            json.dumps({"outcome": UNKNOWN if outcome == HOLDS and None in outcomes else outcome, "figures": figures})
        )
    else:
        out, folder = given.out.resolve(), given.data.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_measured(benchmark, given.case, folder))
        # Results are committed: paths in them begin at the repository's root, or in the folder of the inputs.
        out.write_text(text.replace(f"{ROOT}{os.sep}", "").replace(f"{folder}{os.sep}", ""), encoding="utf-8")
    return 0


def told(name: str, *arguments: str | Path) -> Json:
    """What a ``bench.py`` prints."""
    done = subprocess.run([sys.executable, HERE / name / "bench.py", *arguments], check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def measure(name: str, case: str, folder: Path) -> Json:
    """Measure a case in a process of its own; what that leaves running is ended."""
    out = folder / "out.json"
    out.unlink(missing_ok=True)
    found: Json = {
        "commit": head(),
        "uncommitted_changes": bool(git("status", "--porcelain", "--", ":!benchmarks/results")),
        "measured": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    command = [sys.executable, HERE / name / "bench.py", "--case", case, "--out", out, "--data", folder / "data"]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    broken = {"outcome": BROKEN, "figures": {"exit_code": process.returncode}, "raw": {}, "seconds": 0.0}
    return found | (read_json(out) or broken)


def keep(name: str, listed: Json, cases: Json) -> None:
    """Write the result of a benchmark, whole or not at all; cases that are no more go."""
    path, part = RESULTS / f"{name}.json", RESULTS / f"{name}.part"
    found = {
        "name": name,
        "claim": listed["claim"],
        "cases": {one: cases[one] for one in listed["cases"] if one in cases},
    }
    part.write_text(json.dumps(found), encoding="utf-8")
    found = {**found, **told(name, "--conclude", part), "cases": found["cases"]}
    part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def run() -> int:
    """Measure the named benchmarks, or all."""
    known = sorted(path.parent.name for path in HERE.glob("*/bench.py"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all ({', '.join(known)})")
    parser.add_argument("--case", action="append", metavar="CASE", help="of the named benchmarks; default: all")
    parser.add_argument("--truth", action="store_true", help="measure the stored truth again, too")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(known)):
        parser.error(f"no benchmark called {', '.join(unknown)}; there are {', '.join(known)}")
    os.environ["BENCHMARK_TRUTH_AGAIN"] = "1" if given.truth else "0"
    listed = {name: told(name, "--list") for name in given.names or known}
    works = [
        (name, case) for name, one in listed.items() for case in one["cases"] if case in (given.case or one["cases"])
    ]
    if unknown := sorted(set(given.case or ()) - {case for _, case in works}):
        parser.error(f"no case called {', '.join(unknown)}")
    outcomes: dict[str, list[str]] = {HOLDS: [], BROKEN: [], UNKNOWN: []}
    with tempfile.TemporaryDirectory(prefix="pipeprof-verify-") as folder:
        for number, (name, case) in enumerate(works, 1):
            print(f"[{number}/{len(works)}] {name}: {case}", flush=True)
            path = RESULTS / f"{name}.json"
            cases = read_json(path).get("cases", {})
            found = measure(name, case, Path(folder))
            if found["outcome"] is None and case in cases:
                continue
            keep(name, listed[name], cases | {case: found})
            if found["outcome"] is not None:
                outcomes[found["outcome"]].append(f"{name} {case}")
                print(f"  {found['outcome']} ({found['seconds']} s)", flush=True)
    print("; ".join(f"{len(those)} {what}" for what, those in outcomes.items()))
    print("".join(f"{what}: {one}\n" for what in (BROKEN, UNKNOWN) for one in outcomes[what]), end="")
    return 1 if outcomes[BROKEN] else 3 if outcomes[UNKNOWN] else 0


if __name__ == "__main__":
    sys.exit(run())
