"""A cache of what Python makes: two epochs of it are compared before it is tried."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.changed_datasets import BUILDING

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.edits import InsertStage, to_document
from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.changes.replay import datasets_before
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import TurnsJob
from pipeprof.profiles.worker.turns import TurnRun, elements_of_each_epoch

pytestmark = pytest.mark.usefixtures("without_autograph")

MODULE = """\
import random

import numpy as np
import tensorflow as tf


def squared(number):
    return np.float32(number * number)


def noisy(number):
    return np.float32(number + random.random())


def pipeline(function):
    made = lambda number: tf.ensure_shape(tf.numpy_function(function, [number], tf.float32), [])
    return tf.data.Dataset.range(50).shuffle(50).map(made).batch(5)


def same():
    return pipeline(squared)


def random_ones():
    return pipeline(noisy)
"""


def of_python(function: Any) -> tf.data.Dataset:
    return tf.data.Dataset.range(20).map(lambda number: tf.numpy_function(function, [number], tf.float32))


def test_the_order_of_an_epoch_does_not_matter() -> None:
    assert elements_of_each_epoch(of_python(lambda number: np.float32(number % 3)).shuffle(20)) == (20, False)
    texts = tf.data.Dataset.from_tensor_slices({"text": ["a", "b", "b"], "numbers": [[1], [2], [3]]}).shuffle(3)
    assert elements_of_each_epoch(texts)[0] == 3
    ragged = tf.data.Dataset.range(4).map(lambda number: tf.RaggedTensor.from_row_lengths([number, number], [1, 1]))
    assert elements_of_each_epoch(ragged) == (4, True)


def fails(_number: int) -> None:
    msg = "no such record"
    raise ValueError(msg)


def test_epochs_that_differ_or_cannot_be_compared_are_told_apart() -> None:
    numbers = iter(range(5))

    def once() -> Iterator[int]:
        yield from numbers

    cases = [
        (of_python(lambda number: np.float32(number + random.random())), "differs from epoch to epoch"),
        (
            tf.data.Dataset.from_generator(once, output_signature=tf.TensorSpec([], tf.int64)),
            "differs from epoch to epoch",
        ),
        (tf.data.Dataset.range(6).window(2), "not data that can be compared"),
        (of_python(fails), r"cannot be read twice: .*no such record"),
    ]
    for dataset, reason in cases:
        with pytest.raises(CannotChangeError, match=reason):
            elements_of_each_epoch(dataset)


def test_the_part_before_a_cache_is_what_is_compared(recording: CallWatch) -> None:
    dataset = of_python(np.float32).shuffle(20).cache().batch(5)
    (part,) = datasets_before(dataset, lambda row: row.stores, recording.calls, BUILDING)
    assert sorted(map(float, part)) == list(range(20))
    uncached = of_python(np.float32).batch(5)
    assert datasets_before(uncached, lambda row: row.stores, recording.calls, BUILDING) == []


@pytest.mark.parametrize(
    ("function", "after", "compared"), [("same", "stages.1", 50), ("random_ones", "stages.1", None)]
)
def test_a_worker_refuses_a_cache_of_what_differs(
    tmp_path: Path, function: str, after: str, compared: int | None
) -> None:
    path = tmp_path / "made.py"
    path.write_text(MODULE, encoding="utf-8")
    edit = json.dumps(to_document(InsertStage("cache", {}, after)))
    job = Options(
        ParsedTarget("function", path, function), [str(path)], turns=TurnsJob(edits=[edit], compare_epochs=True)
    )
    said: dict[str, Any] = {}
    TurnRun(job, SimpleNamespace(send=said.update, next_turn=lambda: None)).run()  # type: ignore[arg-type]
    refused, built = said.get("refused"), said.get("built")
    if compared is None:
        assert (refused, built) == ("what a cache would keep differs from epoch to epoch", None)
    else:
        assert refused is None
        assert built.compared == compared
