"""Records a trace with TensorFlow alone: ``python recording.py EVENTS FILE``; it has up to a fifth more events."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import tensorflow as tf

from pipelines import detection
from pipeprof.profiles.xplane.xplane import count_events

MANY = 1.2
"""Times the events wanted that a trace may have."""
TRIES = 12


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
    """Record longer or shorter, until there are events enough, and not many more: all are to be read."""
    wanted, seconds = int(sys.argv[1]), 0.5
    for _ in range(TRIES):
        data = recorded(seconds)
        count = count_events(data)
        if wanted <= count <= MANY * wanted:
            Path(sys.argv[2]).write_bytes(data)
            return
        seconds *= (1 + MANY) / 2 * wanted / max(wanted / 100, count)
    sys.exit(f"The last trace has {count:,} events, not {wanted:,} to {MANY * wanted:,.0f}.")


main()
