"""A trace that TensorFlow writes on a machine without a GPU: what reads it says that no device is in it."""

from __future__ import annotations

import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from unit.gaps.host_as_device import as_device

from pipeprof.pipelines.steps.called import CalledStep
from pipeprof.profiles.gaps.analyse import analyse
from pipeprof.profiles.gaps.names import CAUSES, REQUEST_MARK, cause_of
from pipeprof.profiles.gaps.reading import find_traces, read_trace
from pipeprof.profiles.gaps.steps import read_device
from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.trace.device import trace_steps

pytestmark = pytest.mark.usefixtures("without_autograph")

STEPS = 20


def test_a_trace_without_a_device_is_a_reason_and_no_number() -> None:
    feed = Feed(tf.data.Dataset.range(1_000).map(lambda number: number + 1).batch(4).repeat())
    matrix = tf.ones([80, 80])
    step = CalledStep(tf.function(lambda _batch: tf.matmul(matrix, matrix)))
    asked = iter(range(STEPS))
    recorded = trace_steps(feed, step, "keras", stop=lambda: next(asked, None) is None)
    assert recorded is not None
    assert recorded.file is not None
    [file] = find_traces(Path(recorded.file)).files
    trace = read_trace(file)
    marks = [kind for kind, name in enumerate(trace.host.names) if name == REQUEST_MARK]
    assert sum(int((trace.host.kind == kind).sum()) for kind in marks) == STEPS + 1
    assert {CAUSES[cause_of(trace.host.names[kind])] for kind in marks} == {"pipeline"}

    found, devices = analyse(trace, file.name, 0)
    assert devices == []
    assert found.sentence == "cannot say: the trace has no events of a device"

    seen = read_device(recorded)
    assert (seen.window, seen.gaps, seen.idle_share) == (None, None, None)
    assert seen.unknown == "cannot say: the trace has no events of a device"
    assert not Path(recorded.file).exists()


def slow(number: np.int64) -> np.float32:
    time.sleep(0.1)
    return np.float32(number)


def test_a_slow_input_of_fit_has_the_idle_time_though_another_thread_than_the_loop_fetches(tmp_path: Path) -> None:
    """The threads on which TensorFlow computes stand for a device: the loop's thread is in a call all of the time."""

    def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        value = tf.ensure_shape(tf.numpy_function(slow, [number], tf.float32), [])
        return tf.fill([4, 8], value), tf.zeros([4, 1])

    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.range(20).map(batch).with_options(options)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(dataset, verbose=0)
    profiler = tf.profiler.experimental
    profiler.start(str(tmp_path), profiler.ProfilerOptions(host_tracer_level=2, python_tracer_level=0))
    model.fit(dataset, verbose=0)
    profiler.stop()
    [file] = find_traces(tmp_path).files
    found, [device] = analyse(as_device(read_trace(file), r"tf_Compute/.*"), file.name, 0)
    assert device.why_no_causes == []
    assert device.gaps is not None
    spent = device.gaps.by_cause
    assert max(spent, key=lambda cause: spent[cause]) == "pipeline", spent
    assert (found.verdict, device.stage) == ("input", "map")
