"""Specs that nobody means: `check --no-build` gives a result or errors, no traceback, quickly and in little memory.

Usage: ``python benchmarks/fuzz/bench.py --out FILE [--case "part N" …]``. Spec
N is what tests/unit/spec/mutations.py draws from the seed N: any bytes, and the specs of this checkout with something
done to them, also as flags and variables. Each runs ``check`` in the process; it holds
if it ends with 0 or 2, within 2 s of processor time (what else runs on the machine must not decide), and if its
process never took more than 300 MB. There are ten parts of 36 s, or of ten thousand specs, whichever ends first; which
specs they are changes from day to day, and the result has the first.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

SECONDS, MEGABYTES = 2.0, 300
MOST, MINUTES, PARTS, PROCESSES = 100_000, 6.0, 10, 2
"""Specs and minutes at most of all parts together; parts; processes side by side."""
CUT_OFF = 20
SHOWN = 50
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "tests")]

from run import Benchmark, main


class TooSlowError(BaseException):
    """A case that would not end."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise TooSlowError


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


def one(number: int, good: list[bytes], every: list[bytes]) -> dict[str, Any]:
    """Run a case in the current folder: its exit code, seconds and, if it does not hold, the end of what it said."""
    from unit.spec.mutations import case

    from pipeprof.cli.main import invoke

    made = case(Random(number), good, every)  # noqa: S311  # a seed is a case, nothing is kept secret
    for name, content in made.files.items():
        Path(name).write_bytes(content)
    said = io.StringIO()
    begun, used = time.perf_counter(), time.process_time()
    signal.setitimer(signal.ITIMER_REAL, CUT_OFF)
    try:
        with _environment(made.environment), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = invoke(["check", "--no-build", "spec.yaml", *made.arguments])
    except TooSlowError:
        code = -1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    used, elapsed = time.process_time() - used, time.perf_counter() - begun
    result: dict[str, Any] = {"case": number, "code": code, "seconds": used, "elapsed": elapsed}
    if code not in (0, 2) or "Traceback" in said.getvalue():
        result["said"] = said.getvalue()[-1500:]
    return result


def work(first: int, count: int, step: int, seconds: float) -> dict[str, Any]:
    """Run every ``step``-th case, as far as the time lasts, and sum up."""
    from unit.spec.mutations import beside, corpus

    os.environ.update({"PIPEPROF_DEBUG": "1", "_TYPER_FORCE_DISABLE_TERMINAL": "1", "COLUMNS": "80"})
    signal.signal(signal.SIGALRM, _stop)
    good, every = corpus()
    codes: dict[str, int] = {}
    until = time.monotonic() + seconds
    failed, slowest = [], {"case": -1, "seconds": 0.0}
    total = longest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, content in beside().items():
            Path(name).write_bytes(content)
        for number in range(first, first + count, step):
            if time.monotonic() > until:
                break
            result = one(number, good, every)
            code = str(result["code"])
            codes[code] = codes.get(code, 0) + 1
            total += result["seconds"]
            longest = max(longest, result["elapsed"])
            slowest = max(slowest, result, key=lambda each: each["seconds"])
            if "said" in result or result["seconds"] > SECONDS:
                failed.append(result)
        os.chdir(HERE)
    return {
        "codes": codes,
        "failed": failed[:SHOWN],
        "failures": len(failed),
        "slowest": {"case": slowest["case"], "seconds": round(slowest["seconds"], 4)},
        "longest_elapsed": round(longest, 4),
        "seconds": round(total, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
    }


def run(first: int, count: int) -> list[dict[str, Any]]:
    """The sums of every process."""
    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder, f"{number}.json") for number in range(PROCESSES)]
        commands = [
            [sys.executable, __file__, "--worker", str(out), str(first + number), str(count - number)]
            for number, out in enumerate(outs)
        ]
        started = [subprocess.Popen(command) for command in commands]
        codes = [process.wait() for process in started]
        if any(codes):
            msg = f"a process of the benchmark itself failed: exit codes {codes}"
            raise RuntimeError(msg)
        return [json.loads(out.read_text(encoding="utf-8")) for out in outs]


def measured(name: str, _folder: Path) -> dict[str, Any]:
    """The specs of one part, other ones every day."""
    first = datetime.date.today().toordinal() * MOST + (int(name.split()[1]) - 1) * MOST // PARTS
    raw = run(first, MOST // PARTS)
    codes: dict[str, int] = {}
    for part in raw:
        for code, count in part["codes"].items():
            codes[code] = codes.get(code, 0) + count
    slowest = max((part["slowest"] for part in raw), key=lambda each: each["seconds"])
    figures = {
        "cases": sum(codes.values()),
        "first_case": first,
        "results": codes.get("0", 0),
        "errors": codes.get("2", 0),
        "failures": sum(part["failures"] for part in raw),
        "slowest_s": slowest["seconds"],
        "slowest_case": slowest["case"],
        "longest_elapsed_s": max(part["longest_elapsed"] for part in raw),
        "mean_ms": round(1000 * sum(part["seconds"] for part in raw) / max(1, sum(codes.values())), 2),
        "peak_mb": max(part["peak_mb"] for part in raw),
        "limit_s": SECONDS,
        "limit_mb": MEGABYTES,
    }
    print(
        f"{figures['cases']} cases: {figures['results']} results, {figures['errors']} errors, {figures['failures']} "
        f"failures; slowest {figures['slowest_s']:.2f} s, peak {figures['peak_mb']:.0f} MB"
    )
    for part in raw:
        for failed in part["failed"][:5]:
            print(failed)
    holds = figures["failures"] == 0 and figures["peak_mb"] <= MEGABYTES
    return {"outcome": "holds" if holds else "does not hold", "figures": figures, "raw": {"processes": raw}}


BENCHMARK = Benchmark(
    claim=f"random specs, as many as {MINUTES:g} minutes allow, each give a result or errors in their form, "
    f"never a traceback, within {SECONDS:g} s of processor time and {MEGABYTES} MB",
    cases=tuple(f"part {number}" for number in range(1, PARTS + 1)),
    measure=measured,
)


def worker(out: str, first: str, count: str) -> int:
    """Be one of the processes that run cases."""
    done = work(int(first), int(count), PROCESSES, 60 * MINUTES / PARTS)
    Path(out).write_text(json.dumps(done) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(worker(*sys.argv[2:]) if sys.argv[1] == "--worker" else main(BENCHMARK))
