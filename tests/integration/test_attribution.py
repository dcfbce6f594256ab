"""The stages' times in a real run: calls are counted exactly, and nothing is larger than what contains it."""

from __future__ import annotations

from pathlib import Path

from integration import forked

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage

BATCH = 32
PIPELINE = f"""
import tensorflow as tf


def count(number):
    sum(range(2_000))
    return number


def short(number):
    for _ in range(20):
        number = number * 3 + 1
    return number


def several(number):
    return tf.data.Dataset.from_tensors(number).repeat(4)


def batches():
    numbers = tf.data.Dataset.range(10**12).map(short, name="short").flat_map(several, name="several")
    counted = numbers.map(lambda number: tf.numpy_function(count, [number], tf.int64), name="count")
    return counted.filter(lambda number: number % 2 == 0, name="even").batch({BATCH}).prefetch(2)
"""


def test_calls_are_exact_and_nothing_exceeds_what_contains_it(tmp_path: Path) -> None:
    Path(tmp_path, "input.py").write_text(PIPELINE, encoding="utf-8")
    command = "run input.py:batches --step none --seconds 1.5 --no-verify --json --quiet"
    done = forked.run(command.split(), tmp_path)
    assert done.returncode == 0, done.stderr
    profile = Profile.model_validate_json(done.stdout)
    stages = {stage.name or stage.op: stage for stage in profile.stages or []}
    # After the filter only the counters know; before it everything follows from what it takes.
    taken = stages["even"].calls_per_batch
    assert taken is not None
    assert taken >= BATCH
    assert stages["count"].calls_per_batch == taken
    assert profile.steps is not None
    assert profile.cpu is not None
    for stage in stages.values():
        assert_contained(stage, profile.steps.interval_ms.mean, profile.cpu.total_ms)


def assert_contained(stage: Stage, interval_ms: float, total_ms: float) -> None:
    if stage.time_ms_per_batch is None:
        return
    if stage.threads is not None:
        assert stage.time_ms_per_batch <= stage.threads * interval_ms * 1.000001
    assert (stage.cpu_ms_per_batch or 0.0) <= total_ms * 1.000001
    ops = {one.op: one.ms_per_batch for one in stage.ops or []}
    assert sum(ops.values()) <= (stage.active_ms or 0.0) * 1.000001
    for op in {one.parent for one in stage.python or []} & set(ops):
        called = sum(one.ms_per_batch for one in stage.python or [] if one.parent == op)
        assert called <= ops[op or ""] * 1.000001
