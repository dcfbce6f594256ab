"""What pipeprof's step loop costs against the plainest ``for batch in dataset``.

Usage: ``python benchmarks/overhead/bench.py --out FILE [--pairs 200] [--case NAME …]``. Each case is a real
``pipeprof run`` whose worker alternates between blocks of its own loop and blocks of the bare one (pipelines.py), in
ABBA order. Both take from one iterator, so that neither finds a fuller buffer or better tuned stages; with iterators of
their own, each would live off what its prefetch gathered during the other's turn. The parent, with its sampler at 20 Hz
and the partial profiles that it saves, runs beside pipeprof's blocks only; what it does every second or two falls on
them twice as often as in a run.

Holds if the lower end of the 95 % interval of the median paired ratio of rates, pipeprof's over the bare one's, is at
least 0.99 on image pipelines and at least 0.95 on the fastest loops that eager TensorFlow can do; and if a step of
10 ms on the simulated device, fed by a pipeline that never makes it wait, recurs within 10.1 ms (the upper end of the
interval of the median over blocks). The intervals are those of the sign test. ``bare_again`` compares bare blocks with
bare blocks: what the machine's noise alone makes of 1. Nine minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeprof.pipelines.data.cache import ensure
from pipeprof.pipelines.spec.loader import load_spec

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
PIPEPROF = (sys.executable, "-c", "from pipeprof.cli.main import main; main()")
PHOTOS = "data.photos.image_folder.size=[160, 120]"
RECORDS = "data.shards.tfrecord.features.image.jpeg.size=[112, 112]"
STEP_MS = 10
LIMIT_STEP = 1.01
PATIENCE = 900


@dataclass(frozen=True)
class Case:
    """A pipeline, the step it feeds, the looks (each a tenth of a second) of a block, and the ratio claimed."""

    pipeline: str
    looks: int
    limit: float
    step: str = "none"
    dispatch: str = "sync"


CASES = {
    "jpeg_folder": Case("jpeg_folder", 3, 0.99),
    "tfrecord_shards": Case("tfrecord_shards", 3, 0.99),
    "range": Case("numbers", 2, 0.95),
    "from_tensors": Case("constant", 2, 0.95),
    "step_sync": Case("constant", 3, LIMIT_STEP, f"simulate:{STEP_MS}ms"),
    "step_in_flight": Case("constant", 3, LIMIT_STEP, f"simulate:{STEP_MS}ms", "1"),
}


def interval(values: list[float]) -> tuple[float, float, float]:
    """Median and the 95 % interval of it by the sign test: two order statistics, whatever the distribution."""
    ordered, n = sorted(values), len(values)
    below, tail = 0, 0.5**n
    while below < (n - 1) // 2 and tail + math.comb(n, below + 1) * 0.5**n <= 0.025:
        below += 1
        tail += math.comb(n, below) * 0.5**n
    return statistics.median(ordered), ordered[below], ordered[n - 1 - below]


def data() -> dict[str, str]:
    """The folders of photos and shards: the examples' recipes with small pictures, for many batches a second."""
    found: dict[str, str] = {}
    for example, size in (("jpeg_folder", PHOTOS), ("tfrecord_shards", RECORDS)):
        entries = load_spec(EXAMPLES / example / "spec.yaml", [size]).spec.data
        found |= {name: str(path) for name, path in ensure(entries, progress=lambda *_: None).items()}
    return found


def run(case: Case, job: dict[str, Any]) -> tuple[list[list[float]], dict[str, Any]]:
    """One run of pipeprof: the blocks and its own account of what it cost."""
    target = f"{HERE / 'pipelines.py'}:{case.pipeline}"
    options = f"--step {case.step} --dispatch {case.dispatch} --seconds {PATIENCE}"
    with tempfile.TemporaryDirectory() as folder:
        raw, profile = Path(folder, "raw.json"), Path(folder, "profile.json")
        done = subprocess.run(
            [*PIPEPROF, "run", target, *options.split(), "--out", profile, "--quiet"],
            env=os.environ | {"PIPEPROF_BENCHMARK": json.dumps({**job, "looks": case.looks, "raw": str(raw)})},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return json.loads(raw.read_text()), json.loads(profile.read_text())["overhead"]


def against_bare(case: Case, job: dict[str, Any]) -> tuple[dict[str, Any], list[list[float]]]:
    """A case without a device: ratio of rates."""
    raw, own = run(case, job)
    bare = [seconds / steps for steps, seconds, *_ in raw]
    ours = [seconds / steps for _, _, steps, seconds, _ in raw]
    median, low, high = interval([a / b for a, b in zip(bare, ours, strict=True)])
    again = interval([a / b for a, b in zip(bare[::2], bare[1::2], strict=False)])
    steps, seconds, looking = (sum(one[i] for one in raw) for i in (2, 3, 4))
    bare_us, ours_us = (1e6 * statistics.median(times) for times in (bare, ours))
    looking_us = 1e6 * looking / steps
    figures = {
        "ratio_median": round(median, 4),
        "ratio_interval": [round(low, 4), round(high, 4)],
        "limit": case.limit,
        "holds": low >= case.limit,
        "pairs": len(raw),
        "block_seconds_median": round(statistics.median(one[3] for one in raw), 3),
        "bare_again_interval": [round(value, 4) for value in again[1:]],
        "bare_us_per_step": round(bare_us, 3),
        "pipeprof_us_per_step": round(ours_us, 3),
        "loop_us_per_step": round(bare_us * (1 / median - 1) - looking_us, 3),
        "looking_us_per_step": round(looking_us, 3),
        "looking_ms_per_look": round(1e3 * looking / (len(raw) * case.looks), 3),
        "looking_share": round(looking / seconds, 5),
        "sampler_cores": own["sampler_cores"],
    }
    return figures, raw


def against_device(case: Case, job: dict[str, Any]) -> tuple[dict[str, Any], list[list[float]]]:
    """A case with the simulated device: time from step to step over the step's own."""
    raw, own = run(case, job)
    median, low, high = interval([1e3 * seconds / steps / STEP_MS for steps, seconds in raw[1:]])
    figures = {
        "ratio_median": round(median, 5),
        "ratio_interval": [round(low, 5), round(high, 5)],
        "limit": case.limit,
        "holds": high <= case.limit,
        "blocks": len(raw) - 1,
        "wake_share": own["wake_share"],
        "looking_share": own["loop_share"],
    }
    return figures, raw


def main() -> int:
    """Measure, write and print the result; 0 if it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the result goes (JSON)")
    parser.add_argument("--pairs", type=int, default=200, help="alternations a case; default %(default)s")
    parser.add_argument("--blocks", type=int, default=60, help="blocks of a case with a device; default %(default)s")
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    options = parser.parse_args()

    job = data()
    figures, raw = {}, {}
    for name in options.case or CASES:
        case = CASES[name]
        if case.step == "none":
            figures[name], raw[name] = against_bare(case, {**job, "pairs": options.pairs})
        else:
            figures[name], raw[name] = against_device(case, {**job, "pairs": options.blocks})
        one = figures[name]
        print(
            f"{name}: {one['ratio_median']:.4f} [{one['ratio_interval'][0]:.4f}, {one['ratio_interval'][1]:.4f}] "
            f"(limit {one['limit']:g}) {'holds' if one['holds'] else 'DOES NOT HOLD'}",
            flush=True,
        )
    holds = all(one["holds"] for one in figures.values())
    result = {
        "claim": "pipeprof's step loop runs at no less than 0.99 of the bare loop's rate on image pipelines and 0.95 "
        f"on the fastest loops, and a simulated step recurs within {LIMIT_STEP:g} of its duration",
        "holds": holds,
        "figures": figures,
        "raw": {
            "columns": ["bare_steps", "bare_seconds", "pipeprof_steps", "pipeprof_seconds", "looking_seconds"],
            "columns_device": ["steps", "seconds"],
            **raw,
        },
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
