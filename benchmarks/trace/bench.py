"""What the trace costs: reading a large one, and how long a run lasts after the steps were measured.

Three things are demanded:

* a trace of a million events, recorded from a detection pipeline with loops in loops, is read in 10 s and 500 MB;
* a run of that pipeline has a complete report, and ends at most 20 s after its measuring window;
* a run of every example ends at most 12 s after its measuring window.

The end of the window is when pipeprof tells that it is tracing. What comes after it does not depend on how long the
window was, so that the examples are measured for two seconds.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from run import PIPEPROF, Benchmark, main, read_json, result

EXAMPLES = HERE.parents[1] / "examples"
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
    through = shlex.split(os.environ.get("BENCHMARK_THROUGH", ""))
    command = [*through, *PIPEPROF, "run", target, *options, "--no-verify", "--out", str(out)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    window_ended = None
    for line in process.stderr:
        if TRACING in line and window_ended is None:
            window_ended = time.monotonic()
    code = process.wait(PATIENCE)
    ended = time.monotonic()
    profile = read_json(out)
    stages = profile.get("stages") or []
    return {
        "exit_code": code,
        "complete": profile.get("complete"),
        "after_window_seconds": round(ended - window_ended, 2) if window_ended is not None else None,
        "timed_stages": sum(one.get("time_ms_per_batch") is not None for one in stages),
    }


def examples() -> list[Path]:
    """The specs of examples that can be run on their own."""
    return [path for path in sorted(EXAMPLES.rglob("*.yaml")) if "source:" in path.read_text(encoding="utf-8")]


def in_time(one: dict[str, Any], limit: float) -> bool:
    """Whether a run was complete, and over soon after its window."""
    after = one["after_window_seconds"]
    return bool(one["exit_code"] == 0 and one["complete"] and after is not None and after <= limit)


def measured(name: str, _folder: Path) -> dict[str, Any]:
    """The reading of a large trace, the run of a pipeline with loops in loops, or the run of an example."""
    with tempfile.TemporaryDirectory() as own:
        if name == READING:
            found = read_a_large_one(Path(own))
            holds = found["seconds"] <= READ_SECONDS and found["bytes"] <= READ_BYTES
        elif name == DETECTION:
            found = run(Path(own), f"{HERE / 'pipelines.py'}:detection") | {"target": DETECTION}
            holds = in_time(found, LONGEST_SECONDS) and found["timed_stages"] > 0
        else:
            found = run(Path(own), str(EXAMPLES / name), "--seconds", str(WINDOW_SECONDS)) | {"target": name}
            holds = in_time(found, EXAMPLE_SECONDS)
    print(f"  {name}: {found.get('after_window_seconds', found.get('seconds'))} s", flush=True)
    return result(holds, found, {})


READING, DETECTION = "reading a million events", "detection"
BENCHMARK = Benchmark(
    claim=f"a trace of a million events is read in {READ_SECONDS:g} s and {READ_BYTES // 10**6} MB; a run ends "
    f"{EXAMPLE_SECONDS:g} s after its window on every example, and {LONGEST_SECONDS:g} s after it where a second of "
    "trace has a million events, with a complete report",
    cases=(READING, DETECTION, *(str(path.relative_to(EXAMPLES)) for path in examples())),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
