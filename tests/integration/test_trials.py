"""Processes of a trial, and what they say of the data of a pipeline with a change."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument, VectoriseMap, to_document
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.experiment.same_data import check_data
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import Built, TurnsJob
from pipeprof.profiles.worker.turns import TurnRun

PARALLEL = SetArgument("stages.0", "map", "num_parallel_calls", 2)
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
        turns = TurnsJob(edits=[json.dumps(to_document(one)) for one in edits])
        said: dict[str, Any] = {}
        job = Options(ParsedTarget("function", path, "pipeline"), [str(path)], turns=turns)
        TurnRun(job, SimpleNamespace(send=said.update, next_turn=lambda: None)).run()  # type: ignore[arg-type]
        return said["built"]

    found = check_data(built(), built(), built(edit), "same")
    assert (found.level, found.same) == ("bytes", True)
