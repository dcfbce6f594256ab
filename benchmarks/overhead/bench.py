"""What pipeprof's step loop costs against the plainest ``for batch in dataset``.

Each case is a real ``pipeprof run`` whose worker alternates between slices of its own loop and slices of the bare one
(pipelines.py), in ABBA order. A pair is what both did from one look at the loop to the next: half a second of each, in
slices of a tenth. The rate of a pipeline that fills the cores wanders by 5 to 10 % from one half second to the next,
and slices side by side share more of it. Both loops end their slices by the clock, and take from one iterator, so that
neither lives off what its prefetch gathered during the other's turn. The parent, with its sampler at 5 Hz and the
partial profiles that it saves, works beside pipeprof's slices only, as often in their time as in any run. With a
simulated step, blocks are whole.

Holds if the lower end of the interval of the paired ratio of rates, pipeprof's over the bare one's, is at least 0.99 on
image pipelines, at least 0.95 on the fastest loops that eager TensorFlow can do, and at least 0.99 with the simulated
device and a pipeline that never makes it wait. ``interval_over_step`` is how long the device then takes from step to
step: under sync it holds one `next()` on a core that just slept, a tenth of a millisecond, with both loops.

The intervals are those of Wilcoxon's signed ranks. A case ends as soon as its interval decides (sequential.py).
``bare_again`` compares bare blocks with bare blocks: where that interval is wider than the claim's margin, which is
1 − limit, and the claim is not decided after all pairs, the machine is noisier than what is claimed: "cannot tell".
``attributing_share`` is the part of pipeprof's blocks in which they looked at what time and memory are attributed by.

Pairs from which the hypervisor took more than 1 % of the cores do not count (``left_out`` has them). The image cases
have three times as many: with twice as many, the interval was as wide as what is claimed, 0.4 % to either side.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from run import Benchmark, NotMeasuredError, main
from sequential import bare_again, errors_at, interval, looks, outcome, ratios

PHOTOS = HERE.parents[1] / "examples" / "jpeg_folder" / "spec.yaml"
SMALL = "data.photos.image_folder.size=[160, 120]"
STEP_MS = 10
PAIRS = 200
"""At most; thrice for images, half for fast loops, a quarter with a step."""
SLICE_MS = 100
COLUMNS = ["bare_steps", "bare_seconds", "pipeprof_steps", "pipeprof_seconds", "looking_seconds", "attributing_seconds"]
SECONDS = 600
"""That pipeprof's own loop measures at most; the pairs end it sooner."""
PATIENCE = 1200
LOCKED = """
import fcntl
import json
import os
from unittest.mock import patch

from pipeprof.cli.main import main

PATH = json.loads(os.environ["BENCHMARK_CASE"])["lock"]


def replace(owner, name, value):
    # Refuses a name that there is not, which an assignment would only add.
    patch.object(owner, name, value).start()


def in_our_time(work):
    lock = os.open(PATH, os.O_RDWR)

    def wait_and_work(*args):
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            return work(*args)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    return wait_and_work
"""
# The parent samples and saves as often as in a run, counted in the half of the time that is pipeprof's, and only then.
PIPEPROF = f"""{LOCKED}

from pipeprof.profiles.harness import event_loop, harness
from pipeprof.profiles.host import sampler

replace(harness, "SAVE_SECONDS", 2 * harness.SAVE_SECONDS)
replace(harness, "MEASURE_INTERVAL", 2 * harness.MEASURE_INTERVAL)
replace(sampler.Sampler, "sample", in_our_time(sampler.Sampler.sample))
replace(event_loop.Saver, "save_when_due", in_our_time(event_loop.Saver.save_when_due))
main()
"""


@dataclass(frozen=True)
class Case:
    """A pipeline, the ratio claimed, its share of the alternations, and the step that is fed."""

    pipeline: str
    limit: float
    pairs: float = 1.0
    step: str = "none"
    dispatch: str = "sync"


CASES = {
    "jpeg_folder": Case("jpeg_folder", 0.99, 3.0),
    "array": Case("array", 0.99, 3.0),
    "range": Case("numbers", 0.95, 0.5),
    "from_tensors": Case("constant", 0.95, 0.5),
    "step_sync": Case("constant", 0.99, 0.25, f"simulate:{STEP_MS}ms"),
    "step_in_flight": Case("constant", 0.99, 0.25, f"simulate:{STEP_MS}ms", "1"),
}


def photos() -> str:
    """The folder of the photos, made if need be: those of an example, but small, for many batches a second."""
    from pipeprof.pipelines.data.cache import ensure
    from pipeprof.pipelines.spec.load import load_spec

    entries = load_spec(PHOTOS, [SMALL]).spec.data
    return str(ensure(entries, progress=lambda *_: None)["photos"])


def run(case: Case, job: dict[str, Any]) -> tuple[list[list[float]], list[list[float]], dict[str, Any]]:
    """One run of pipeprof: the pairs that count, the others, and the profile's own account of what it cost."""
    target = f"{HERE / 'pipelines.py'}:{case.pipeline}"
    ahead = "" if case.step == "none" else f",dispatch={case.dispatch}"
    options = f"--step {case.step}{ahead} --seconds {SECONDS} --no-verify --quiet"
    dispatch = case.dispatch if case.dispatch == "sync" else int(case.dispatch)
    with tempfile.TemporaryDirectory() as folder:
        raw, profile = Path(folder, "raw.json"), Path(folder, "profile.json")
        lock = Path(folder, "lock")
        lock.touch()
        job |= {"lock": str(lock), "slice_ms": SLICE_MS, "step_ms": STEP_MS, "dispatch": dispatch, "raw": str(raw)}
        done = subprocess.run(
            [sys.executable, "-c", PIPEPROF, "run", target, *options.split(), "--out", profile],
            env=os.environ | {"BENCHMARK_CASE": json.dumps(job)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return *json.loads(raw.read_text()), json.loads(profile.read_text())["overhead"]


def figures_of(case: Case, raw: list[list[float]], most: int, own: dict[str, Any]) -> dict[str, Any]:
    """What the blocks say."""
    bare = [seconds / steps for steps, seconds, *_ in raw]
    ours = [seconds / steps for _, _, steps, seconds, *_ in raw]
    middle, low, high = interval(ratios(raw), errors_at(len(raw), most))
    found = outcome(raw, case.limit, most)
    # Of the wall time, in half of which it rests: in a run it takes at most twice as much.
    parent_cores = 2 * (own["sampler_cores"] or 0.0)
    steps, seconds, looking, attributing = (sum(one[i] for one in raw) for i in (2, 3, 4, 5))
    figures = {
        "ratio": round(middle, 4),
        "ratio_interval": [round(low, 4), round(high, 4)],
        "limit": case.limit,
        "outcome": found,
        "holds": found == "holds",
        "pairs": len(raw),
        "block_seconds_median": round(statistics.median(one[3] for one in raw), 3),
        "bare_again_interval": [round(value, 4) for value in bare_again(raw)],
        "bare_us_per_step": round(1e6 * statistics.median(bare), 3),
        "pipeprof_us_per_step": round(1e6 * statistics.median(ours), 3),
        "looking_us_per_step": round(1e6 * looking / steps, 3),
        "looking_share": round(looking / seconds, 5),
        "attributing_share": round(attributing / seconds, 5),
        "parent_cores_at_most": round(parent_cores, 5),
    }
    if case.step != "none":
        over = interval([1e3 * each / STEP_MS for each in ours])
        figures["interval_over_step"] = [round(value, 5) for value in over]
    return figures


def measured(name: str, _folder: Path) -> dict[str, Any]:
    """One case: its figures, and every pair."""
    case = CASES[name]
    most = looks(max(1, round(PAIRS * case.pairs)))[-1]
    raw, left_out, own = run(case, {"photos": photos(), "pairs": most, "limit": case.limit})
    if not raw:
        msg = "the hypervisor took the cores away from every pair"
        raise NotMeasuredError(msg)
    one = figures_of(case, raw, most, own) | {"pairs_left_out": len(left_out)}
    print(
        f"{name}: {one['ratio']:.4f} [{one['ratio_interval'][0]:.4f}, {one['ratio_interval'][1]:.4f}] "
        f"(limit {one['limit']:g}, {one['pairs']} of {most} pairs) {one['outcome']}",
        flush=True,
    )
    return {"outcome": one["outcome"], "figures": one, "raw": {"columns": COLUMNS, "pairs": raw, "left_out": left_out}}


BENCHMARK = Benchmark(
    claim="pipeprof's step loop runs at no less than 0.99 of the bare loop's rate on image pipelines and with a "
    "simulated device, and at no less than 0.95 on the fastest loops",
    cases=tuple(CASES),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
