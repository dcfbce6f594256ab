"""A process of a trial: what it holds of a large array, and that its functions draw what those of the pipeline draw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument, VectoriseMap, to_document
from pipeprof.profiles.experiment.same_data import check_data
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.messages import WorkerMessage
from pipeprof.profiles.protocol.turns import Built, TurnsJob
from pipeprof.profiles.worker.turns.turn_run import TurnRun

PARALLEL = SetArgument("stages.0", "map", "num_parallel_calls", 2)
ROWS = """\
import numpy as np
import tensorflow as tf


def pipeline():
    rows = np.ones([125_000, 400], np.float32)
    return tf.data.Dataset.from_tensor_slices(rows).map(lambda row: row + 1).batch(10)
"""
ALONE = """\
from rows import pipeline

dataset = pipeline()
for _ in dataset.take(20):
    pass
"""
TRIAL = """\
import sys
from threading import Event
from types import SimpleNamespace
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turns import TurnEnded, TurnRequest, TurnsJob
from pipeprof.profiles.worker.turns.turn_run import TurnRun

said, turns = [], iter([TurnRequest("block", 0.0, 12), None])
channel = SimpleNamespace(send=said.append, next_turn=lambda: next(turns), stop=Event())
run = TurnRun(Job("function", "rows.py:pipeline", ["rows.py"], turns=TurnsJob(edits=sys.argv[1:])), channel)
run.run()
peaks = [one.peak_bytes for one in said if isinstance(one, TurnEnded)]
print(*peaks)
"""
STATUS = """
import re
kept, peak = (int(re.search(rf"{name}:\\s+(\\d+)", open("/proc/self/status").read())[1]) for name in ("VmRSS", "VmHWM"))
print(kept * 1024, peak * 1024)
"""


def documents(*edits: PipelineEdit) -> list[str]:
    return [json.dumps(to_document(edit)) for edit in edits]


def test_it_takes_little_more_memory_than_the_pipeline_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.py").write_text(ROWS, encoding="utf-8")

    def measured(code: str, *edits: PipelineEdit) -> tuple[int, int]:
        command = [sys.executable, "-c", code + STATUS, *documents(*edits)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
        *peaks, kept, peak = map(int, done.stdout.split())
        return max([peak, *peaks]), kept

    peak, kept = measured(ALONE)
    changed_peak, changed_kept = measured(TRIAL, PARALLEL, InsertStage("prefetch", {"buffer_size": 2}))
    assert peak > 600e6
    assert changed_peak - peak < 20e6
    # The peak comes while the dataset is made: what is held longer shows in what stays, of which 16 MB are modules.
    assert changed_kept - kept < 40e6


NOISY = """\
import random

import numpy as np
import tensorflow as tf


def noisy(number):
    print("traced")
    return number + np.random.randint(10**9) + random.randint(0, 10**9)


def pipeline():
    print("made")
    return tf.data.Dataset.range(6).map(noisy).map(noisy).batch(2)
"""


@pytest.mark.usefixtures("without_autograph")
@pytest.mark.parametrize("edit", [PARALLEL, InsertStage("cache", {}, "source"), VectoriseMap("stages.1", "stages.2")])
def test_functions_that_draw_while_they_are_traced_give_the_same_data(edit: PipelineEdit, tmp_path: Path) -> None:
    path = tmp_path / "noise.py"
    path.write_text(NOISY, encoding="utf-8")

    def built(*edits: PipelineEdit) -> Built:
        job = Job("function", f"{path}:pipeline", [str(path)], turns=TurnsJob(edits=documents(*edits)))
        said: list[WorkerMessage] = []
        TurnRun(job, SimpleNamespace(send=said.append, next_turn=lambda: None)).run()  # type: ignore[arg-type]
        return next(message for message in said if isinstance(message, Built))

    found = check_data(built(), built(), built(edit), "same")
    assert (found.level, found.same) == ("bytes", True)
