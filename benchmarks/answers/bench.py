"""How soon ``pipeprof run`` answers: the first sentence, the first change that was measured to help, and the prompt.

The JPEG example is run as a user would, its output read as it comes; right before each run TensorFlow is imported
alone, which takes T.

* ``soon``: five runs at the default budget. Holds if, of the medians, the first sentence is there after
  ``measure.seconds`` + 4 T, the first change that helps 20 s later, and the prompt after 60 s.
* ``alike``: ten runs with ``--budget 40``. Holds if nine of them name the same first change.

Needs two idle cores; six and ten minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import IO, Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from run import PIPEPROF, Benchmark, main, result

SPEC = Path(__file__).resolve().parents[2] / "examples" / "jpeg_folder" / "spec.yaml"
MEASURE_SECONDS = 5.0
"""Of the example: the default of ``measure.seconds``."""
IMPORTS, FIRST_CHANGE, PROMPT = 4, 20.0, 60.0
SOON, ALIKE = 5, 10
MOST_ALIKE = 9
PATIENCE = 300


def import_seconds() -> float:
    """How long TensorFlow's import takes, in a process of its own."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def run(folder: Path, *options: str) -> dict[str, Any]:
    """One run: when something was first printed, when a change was first said to help, the end, and what is first."""
    out = folder / "run.json"
    command = [*PIPEPROF, "run", str(SPEC), "--out", str(out), "--force", *options]
    begun = time.perf_counter()
    seen: dict[str, float] = {}

    def read(stream: IO[str], name: str, part: str) -> None:
        for line in stream:
            if part in line:
                seen.setdefault(name, time.perf_counter() - begun)

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        streams = ((process.stdout, "sentence", ""), (process.stderr, "change", "measured: "))
        readers = [threading.Thread(target=read, args=one) for one in streams]
        for reader in readers:
            reader.start()
        process.wait(PATIENCE)
        seen["prompt"] = time.perf_counter() - begun
        for reader in readers:
            reader.join()
    found = json.loads(out.read_text(encoding="utf-8"))["findings"] or []
    kept = [one["title"] for one in found if one["status"] == "kept"]
    return {**seen, "first": kept[0] if kept else None}


def measured(name: str, folder: Path) -> dict[str, Any]:
    """One of both claims."""
    if name == "alike":
        runs = [run(folder, "--budget", "40") for _ in range(ALIKE)]
        (first, many), *_ = Counter(one["first"] for one in runs).most_common(1)
        print(f"{many} of {ALIKE} name first: {first}")
        return result(first is not None and many >= MOST_ALIKE, {"first": first, "runs": many}, runs)
    runs = [{"import": import_seconds(), **run(folder)} for _ in range(SOON)]
    figures = {
        key: round(median(one.get(key, PATIENCE) for one in runs), 2) for key in ("import", "sentence", "prompt")
    }
    figures["change"] = round(median(one.get("change", PATIENCE) - one["sentence"] for one in runs), 2)
    most = MEASURE_SECONDS + IMPORTS * figures["import"]
    print(f"sentence {figures['sentence']} s (at most {most:.1f}), change {figures['change']} s later, "
          f"prompt {figures['prompt']} s")  # fmt: skip
    holds = figures["sentence"] <= most and figures["change"] <= FIRST_CHANGE and figures["prompt"] <= PROMPT
    return result(holds, figures, runs)


BENCHMARK = Benchmark(
    claim=f"the JPEG example: the first sentence within {MEASURE_SECONDS:g} s + {IMPORTS} imports of TensorFlow, the "
    f"first change that helps {FIRST_CHANGE:g} s later, the prompt within {PROMPT:g} s (medians of {SOON}); "
    f"{MOST_ALIKE} of {ALIKE} runs with --budget 40 name the same first change",
    cases=("soon", "alike"),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
