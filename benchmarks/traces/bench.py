"""Public traces, large ones and one of a slow input: the verdict, the idle time, its cause, and the cost of reading.

The folder that ``BENCHMARK_TRACES`` names has the files of ``expected.json``, which are not in the repository. What is
expected of each was written from its description and from `independent.py` before the analyser saw it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import run

EXPECTED = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
FOLDER = os.environ.get("BENCHMARK_TRACES", "")
POINTS = 0.001
"""Of the idle share: a tenth of a percentage point."""
LIMITS = {"xplane": (10.0, 500.0), "json": (30.0, 500.0)}
"""CPU seconds and megabytes for a million events."""
EVENTS = 1_000_000
SLOW_FIT = "slow-fit"
OF_THE_PIPELINE = 0.9
"""Of the idle time of `SLOW_FIT`, at least."""


def measure(name: str, folder: Path) -> run.Json:
    """Measure a case: a file, or a size."""
    if name.startswith("million-"):
        return _measure_size(name.removeprefix("million-"), folder)
    if name == SLOW_FIT:
        return _measure_fit()
    path = Path(FOLDER) / name
    if not FOLDER or not path.exists():
        raise run.NotMeasuredError(f"BENCHMARK_TRACES names no folder with {name}")
    return judge(name, path)


def judge(name: str, path: Path) -> run.Json:
    """Compare what `gaps` says of a file with what is expected."""
    expected = EXPECTED[name]
    done = subprocess.run(
        [sys.executable, "-m", "pipeprof", "gaps", str(path), "--json"], capture_output=True, text=True, check=False
    )
    wrong = []
    if not done.stdout:
        said, text = "no trace", done.stderr
        document: run.Json = {"traces": [{"verdict": said, "sentence": text.strip()}], "devices": []}
    else:
        document = json.loads(done.stdout)
        said, text = document["traces"][0]["verdict"], document["traces"][0]["sentence"]
    answer = expected["answer"]
    right = {
        "input": said == "input",
        "not input": said not in ("input", "cannot say", "no trace"),
        "cannot say": said in ("cannot say", "no trace") and done.returncode in (0, 6),
        "no trace": said == "no trace" and done.returncode == 6,
    }[answer]
    if not right:
        wrong.append(f"says {said}, expected {answer}")
    if expected.get("why", "") not in text:
        wrong.append(f"gives another reason: {text}")
    devices = {device["name"]: device for device in document["devices"]}
    for field, key in (("span_idle_share", "idle"), ("idle_share", "idle_of_steps")):
        for device, share in expected.get(key, {}).items():
            found = devices[device][field] if device in devices else None
            if found is None and answer == "cannot say":
                continue
            if found is None or abs(found - share) > POINTS:
                wrong.append(f"{device}: {field} {found}, by itself {share}")
    figures = {"verdict": said, "sentence": text.strip().replace(f"{path.parent}{os.sep}", ""), "wrong": wrong}
    rows = {
        device["name"]: {"idle": device["idle_share"], "by_cause": device["gaps"]["by_cause"] if device["gaps"] else {}}
        for device in document["devices"]
    }
    return run.result(not wrong, figures, {"devices": rows})


def _measure_fit() -> run.Json:
    done = subprocess.run([sys.executable, HERE / "slow_fit.py"], stdout=subprocess.PIPE, text=True, check=True)
    said = json.loads(done.stdout)
    spent = said["by_cause"]
    share = spent.get("pipeline", 0.0) / sum(spent.values()) if spent else 0.0
    figures = {"verdict": said["verdict"], "stage": said["stage"], "share_of_pipeline": round(share, 4)}
    holds = share >= OF_THE_PIPELINE and (said["verdict"], said["stage"]) == ("input", "map")
    return run.result(holds, figures, said)


def _measure_size(form: str, folder: Path) -> run.Json:
    path = folder / f"million.{ {'json': 'json', 'xplane': 'xplane.pb'}[form] }"
    if not path.exists():
        subprocess.run([sys.executable, HERE / "million.py", form, str(path), str(EVENTS)], check=True)
    code = (
        "import sys, resource, json\n"
        "from pathlib import Path\n"
        "from pipeprof.profiles.gaps.reading import read_trace\n"
        "from pipeprof.profiles.gaps.analyse import analyse\n"
        "trace = read_trace(Path(sys.argv[1])); found, devices = analyse(trace, 'million', 0)\n"
        "use = resource.getrusage(resource.RUSAGE_SELF)\n"
        "count = len(trace.host.begin) + len(trace.work.begin)\n"
        "print(json.dumps({'events': count, 'cpu_s': use.ru_utime + use.ru_stime,"
        " 'peak_mb': use.ru_maxrss / 1000, 'idle': devices[0].idle_share, 'sentence': found.sentence}))\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout) | {"file_mb": path.stat().st_size / 1e6}
    seconds, megabytes = LIMITS[form]
    holds = figures["cpu_s"] <= seconds and figures["peak_mb"] <= megabytes and figures["events"] >= EVENTS
    return run.result(holds, figures, {"wall_s": time.monotonic() - began})


BENCHMARK = run.Benchmark(
    claim="Of public traces `pipeprof gaps` says input for those that are input-bound and for no other, idle time "
    "within 0.1 points of an independent union, and why where it cannot say; 0.9 of the idle time of a slow input is "
    "the pipeline's; "
    "a million events take 10 s (JSON 30 s) and 500 MB",
    cases=(*EXPECTED, SLOW_FIT, *(f"million-{form}" for form in LIMITS)),
    measure=measure,
)

if __name__ == "__main__":
    sys.exit(run.main(BENCHMARK))
