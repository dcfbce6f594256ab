"""A trace that TensorFlow writes on a machine without a GPU: what reads it says that no device is in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from pipeprof.pipelines.steps.kind import StepContext
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.profiles.gaps.analyse import analyse
from pipeprof.profiles.gaps.names import CAUSES, REQUEST_MARK, cause_of
from pipeprof.profiles.gaps.reading import find_traces, read_trace
from pipeprof.profiles.gaps.steps import read_device
from pipeprof.profiles.protocol.messages import DeviceRead
from pipeprof.profiles.worker.steps.fewer_cores import Loop
from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.trace.device_clock import trace_steps

pytestmark = pytest.mark.usefixtures("without_autograph")

STEPS = 20


@pytest.fixture(scope="module")
def recorded() -> DeviceRead:
    """Twenty steps of a network on the CPU."""
    feed = Feed(tf.data.Dataset.range(1_000).map(lambda number: number + 1).batch(4).repeat())
    step = step_kind("tensorflow").start({"model": "matmul", "flops": 1e6}, StepContext())
    asked = iter(range(STEPS))
    found = trace_steps(Loop(feed, step, lambda: next(asked, None) is None), "tensorflow")
    assert found is not None
    return found


def test_a_trace_without_a_device_is_a_reason_and_no_number(recorded: DeviceRead) -> None:
    assert recorded.file is not None
    [file] = find_traces(Path(recorded.file))
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
