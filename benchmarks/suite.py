"""What every benchmark is: a claim, cases that are measured one by one, and what all of them say together.

A ``bench.py`` makes a `Benchmark` and ends with ``sys.exit(main(BENCHMARK))``. That gives it one command line::

    bench.py --list                          what it claims, its cases, what of the product they exercise (JSON)
    bench.py --out FILE [--case NAME …]      measures cases; FILE is written after each
    bench.py --conclude FILE                 what the cases of FILE say together (JSON)

``--truth`` measures the stored truth again, where a benchmark keeps one. ``--data`` names a folder for inputs that
several cases share.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = ROOT / "benchmarks" / "public"
HOLDS, BROKEN, UNKNOWN = "holds", "does not hold", "cannot tell"
EXITS = {HOLDS: 0, BROKEN: 1, UNKNOWN: 3}

Json = dict[str, Any]


class NotMeasuredError(Exception):
    """A case that this machine cannot measure now: what was measured before stays."""


@dataclass(frozen=True)
class Covers:
    """What of the product a case exercises.

    Attributes:
        roots: Modules where it begins: those of commands by their name, others in full.
        without: Rooms that the modules reach and the case does not use, as ``profiles/verify``.
    """

    roots: tuple[str, ...]
    without: tuple[str, ...] = ()


VERIFYING = ("profiles/verify", "pipelines/graph/edit", "profiles/worker/turns", "profiles/worker/copies")
"""Rooms that a run uses to try changes."""
RUN = Covers(("run",), ("profiles/fix", "profiles/judge", "profiles/git"))
RUN_ALONE = Covers(("run",), (*VERIFYING, *RUN.without))
"""``run --no-verify``."""
CHECK = Covers(
    ("check",),
    (
        "profiles",
        "pipelines/graph",
        "pipelines/build",
        "pipelines/static",
        "cli/comparing",
        "cli/report",
        "cli/formats",
    ),
)
"""``check`` of a spec."""


@dataclass(frozen=True)
class Benchmark:
    """A claim and what it is measured on.

    Attributes:
        claim: With its limit.
        cases: Names, in the order in which all of them are measured.
        measure: Measures one, given its name and a folder for shared inputs: ``outcome``, ``figures`` and ``raw``.
        covers: What of the product each case exercises.
        seconds: That a case takes which was never measured.
        conclude: Outcome and figures of all cases together, where that is more than every one for itself.
        covers_of: The same as `covers`, of the cases that differ.
        stored: Whether it keeps a truth of each machine that only ``--truth`` measures.
    """

    claim: str
    cases: Sequence[str]
    measure: Callable[[str, Path], Json]
    covers: Covers
    seconds: float = 60.0
    conclude: Callable[[Mapping[str, Json]], tuple[str, Json]] | None = None
    covers_of: Mapping[str, Covers] = field(default_factory=dict)
    stored: bool = False


def outcome_of(outcomes: Sequence[str | None]) -> str:
    """What cases say together; `None` is one that was not measured."""
    if BROKEN in outcomes:
        return BROKEN
    return HOLDS if outcomes and set(outcomes) == {HOLDS} else UNKNOWN


def concluded(benchmark: Benchmark, cases: Mapping[str, Json]) -> Json:
    """Outcome and figures of the cases that were measured; those that the benchmark no longer has do not count."""
    known = {name: cases[name] for name in benchmark.cases if name in cases}
    outcomes = [known[name]["outcome"] if name in known else None for name in benchmark.cases]
    outcome, figures = benchmark.conclude(known) if benchmark.conclude else (outcome_of(outcomes), {})
    # Of cases that are missing, nobody can tell.
    return {"outcome": UNKNOWN if outcome == HOLDS and None in outcomes else outcome, "figures": figures}


def wants_truth() -> bool:
    """Whether the stored truth is to be measured again."""
    return os.environ.get("BENCHMARK_TRUTH_AGAIN") == "1"


def machine_name() -> str:
    """This machine in a file's name: processor and cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    cpu = next((line.partition(":")[2] for line in lines if line.startswith("model name")), "unknown")
    return f"{re.sub(r'[^a-z0-9]+', '-', cpu.lower()).strip('-')}-{os.cpu_count()}"


def truth_file(benchmark: str) -> Path:
    """Where a benchmark keeps the truth of this machine."""
    return ROOT / "benchmarks" / benchmark / "truth" / f"{machine_name()}.json"


def head() -> str:
    """The commit that is measured."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def public_data(folder: Path) -> None:
    """Make the inputs of the public pipelines in a folder, where they are not."""
    if not (folder / "data").exists():
        subprocess.run([sys.executable, PUBLIC / "data.py", folder / "data"], check=True)


def described(benchmark: Benchmark) -> Json:
    """What the planner needs to know of a benchmark."""
    covers = {name: asdict(benchmark.covers_of.get(name, benchmark.covers)) for name in benchmark.cases}
    return {"claim": benchmark.claim, "seconds": benchmark.seconds, "stored": benchmark.stored, "cases": covers}


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


def _without_places(text: str, folder: Path) -> str:
    # Results are committed: paths in them begin at the repository's root, or in the folder of the inputs.
    return text.replace(f"{ROOT}{os.sep}", "").replace(f"{folder}{os.sep}", "")


def main(benchmark: Benchmark) -> int:
    """The command line of a benchmark; 0 if all that was measured holds, 1 if not, 3 if it cannot tell."""
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--list", action="store_true", help="print the claim and the cases (JSON)")
    wanted.add_argument("--out", type=Path, help="measure, and write the result there (JSON)")
    wanted.add_argument("--conclude", type=Path, metavar="FILE", help="print what the cases of a result say together")
    parser.add_argument("--case", action="append", metavar="NAME", help="default: all")
    parser.add_argument("--data", type=Path, help="a folder to make the inputs in, and to find them in next time")
    parser.add_argument("--truth", action="store_true", help="measure the stored truth again")
    given = parser.parse_args()
    if given.list:
        print(json.dumps(described(benchmark)))
        return 0
    if given.conclude:
        cases = json.loads(given.conclude.read_text(encoding="utf-8"))["cases"]
        print(json.dumps(concluded(benchmark, cases)))
        return 0
    unknown = sorted(set(given.case or ()) - set(benchmark.cases))
    if unknown:
        parser.error(f"no case called {', '.join(unknown)}; there are {', '.join(benchmark.cases)}")
    if given.truth:
        os.environ["BENCHMARK_TRUTH_AGAIN"] = "1"
    out, names = given.out.resolve(), given.case or list(benchmark.cases)
    before, cases = Path.cwd(), {}
    with ExitStack() as stack:
        folder = given.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pipeprof-benchmark-")))
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            cases[name] = _measured(benchmark, name, folder)
            os.chdir(before)
            text = json.dumps({"claim": benchmark.claim, "cases": cases}, indent=1)
            out.write_text(f"{_without_places(text, folder)}\n", encoding="utf-8")
    return EXITS[outcome_of([cases[name]["outcome"] for name in names])]
