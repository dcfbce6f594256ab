"""Records a trace of at least so many events with TensorFlow's profiler alone: ``python recording.py EVENTS FILE``."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import tensorflow as tf

from pipelines import detection
from pipeprof.profiles.worker.trace.xplane import count_events


def recorded(seconds: float) -> bytes:
    """The trace of so many seconds."""
    iterator = iter(detection())
    next(iterator)
    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0, device_tracer_level=0
    )
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder, options)
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            next(iterator)
        tf.profiler.experimental.stop()
        return next(Path(folder).rglob("*.xplane.pb")).read_bytes()


def main() -> None:
    """Record longer and longer, until there are events enough."""
    wanted, seconds = int(sys.argv[1]), 0.5
    while count_events(data := recorded(seconds)) < wanted:
        seconds *= 2 * wanted / max(1, 2 * count_events(data)) * 1.2
    Path(sys.argv[2]).write_bytes(data)


main()
