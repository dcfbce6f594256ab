"""What the trace costs: reading a large one, and how long a run lasts after the steps were measured.

Usage: ``python benchmarks/trace/bench.py --out FILE [--example PATH …] [--no-examples] [--together N]``. Three things
are demanded:

* a trace of a million events, recorded from a detection pipeline with loops in loops, is read in 10 s and 500 MB;
* a run of that pipeline has a complete report, and ends at most 20 s after its measuring window;
* a run of every example ends at most 12 s after its measuring window.

The end of the window is when pipeprof tells that it is tracing. What comes after it does not depend on how long the
window was, so that the examples are measured for two seconds. Three of them run side by side: that makes each end
later, not sooner, and one that is late is run again alone, which decides; both runs are in the raw result.
PIPEPROF_BENCHMARK_THROUGH is a command that each run is started through. Twelve minutes, three without the examples.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
PIPEPROF = "from pipeprof.cli.main import main; main()"
EVENTS = 1_000_000
READ_SECONDS, READ_BYTES = 10.0, 500_000_000
EXAMPLE_SECONDS, LONGEST_SECONDS = 12.0, 20.0
WINDOW_SECONDS = 2
PATIENCE = 600
TRACING = "tracing"
"""In the line on stderr that tells of the phase after the measurement."""


def read_a_large_one(folder: Path) -> dict[str, Any]:
    """Record a trace and read it."""
    file = folder / "large.xplane.pb"
    subprocess.run([sys.executable, HERE / "recording.py", str(EVENTS), file], check=True, cwd=HERE, timeout=PATIENCE)
    done = subprocess.run(
        [sys.executable, HERE / "reading.py", file], check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    return dict(json.loads(done.stdout))


def run(folder: Path, target: str, *options: str) -> dict[str, Any]:
    """One run: seconds after its window, and what of the report is there."""
    out = folder / "profile.json"
    out.unlink(missing_ok=True)
    through = shlex.split(os.environ.get("PIPEPROF_BENCHMARK_THROUGH", ""))
    command = [
        *through,
        sys.executable,
        "-c",
        PIPEPROF,
        "run",
        target,
        *options,
        "--no-lock",
        "--no-verify",
        "--out",
        str(out),
    ]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    window_ended = None
    for line in process.stderr:
        if TRACING in line and window_ended is None:
            window_ended = time.monotonic()
    code = process.wait(PATIENCE)
    ended = time.monotonic()
    profile = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    stages = profile.get("stages") or []
    phases = {one["name"]: one["seconds"] for one in profile.get("phases") or []}
    return {
        "target": target,
        "exit_code": code,
        "complete": profile.get("complete"),
        "after_window_seconds": round(ended - window_ended, 2) if window_ended is not None else None,
        "trace_phase_seconds": phases.get("trace"),
        "stages": len(stages),
        "timed_stages": sum(one.get("time_ms_per_batch") is not None for one in stages),
        "warnings": sorted({one["code"] for one in profile.get("warnings") or []}),
    }


def examples(chosen: list[Path]) -> list[Path]:
    """The specs of examples that can be run on their own."""
    if chosen:
        return chosen
    return [path for path in sorted(EXAMPLES.rglob("*.yaml")) if "source:" in path.read_text(encoding="utf-8")]


def run_example(target: Path) -> dict[str, Any]:
    """One run of an example with a short window, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), str(target), "--seconds", str(WINDOW_SECONDS))
    found["target"] = str(target.relative_to(EXAMPLES)) if target.is_relative_to(EXAMPLES) else target.name
    print(f"  {found['target']}: {found['after_window_seconds']} s", flush=True)
    return found


def run_examples(targets: list[Path], together: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The run of each example that counts, and those side by side that were late or broken and were run again."""
    with ThreadPoolExecutor(together) as pool:
        ran = list(pool.map(run_example, targets))
    again = []
    for number, target in enumerate(targets):
        if together > 1 and not in_time(ran[number], EXAMPLE_SECONDS):
            again.append(ran[number])
            ran[number] = run_example(target)
    return ran, again


def in_time(one: dict[str, Any], limit: float) -> bool:
    """Whether a run was complete, and over soon after its window."""
    after = one["after_window_seconds"]
    return bool(one["exit_code"] == 0 and one["complete"] and after is not None and after <= limit)


def main() -> int:
    """Measure, write and print the result; 0 if it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the result goes (JSON)")
    parser.add_argument("--example", type=Path, action="append", default=[], help="a spec, instead of all examples")
    parser.add_argument("--no-examples", action="store_true", help="leave the examples out")
    parser.add_argument("--together", type=int, default=3, help="examples side by side; default %(default)s")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reading = read_a_large_one(folder)
        detection = run(folder, f"{HERE / 'pipelines.py'}:detection")
        targets = [] if options.no_examples else examples([one.resolve() for one in options.example])
        ran, again = run_examples(targets, options.together)
    detection["target"] = "detection"
    late = [one["target"] for one in ran if not in_time(one, EXAMPLE_SECONDS)]
    reads = reading["seconds"] <= READ_SECONDS and reading["bytes"] <= READ_BYTES
    whole = in_time(detection, LONGEST_SECONDS) and detection["timed_stages"] > 0
    result = {
        "claim": f"A trace of a million events is read in {READ_SECONDS:g} s and {READ_BYTES // 10**6} MB; a run ends "
        f"{EXAMPLE_SECONDS:g} s after its window on every example, and {LONGEST_SECONDS:g} s after it where a second "
        "of trace has a million events, with a complete report",
        "holds": bool(reads and whole and not late),
        "figures": {
            "events": reading["events"],
            "read_seconds": reading["seconds"],
            "read_mb": round(reading["bytes"] / 1e6),
            "detection_after_window_seconds": detection["after_window_seconds"],
            "examples": len(ran),
            "example_after_window_seconds_max": max((one["after_window_seconds"] or 0.0 for one in ran), default=None),
            "late": late,
            "late_side_by_side": [one["target"] for one in again],
        },
        "raw": {"reading": reading, "detection": detection, "examples": ran, "side_by_side": again},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(
        f"reading {reading['events']:,} events: {reading['seconds']:.1f} s, {reading['bytes'] / 1e6:.0f} MB; "
        f"detection: {detection['after_window_seconds']} s after its window; "
        f"examples: {len(ran) - len(late)} of {len(ran)} in time"
    )
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
