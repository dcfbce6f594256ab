"""The trace phase: a short traced stretch after the measurement, for the cost of TensorFlow ops inside map functions.

Tracing slows a pipeline by 10 to 40 %, so nothing else is read off it. The ops of a stage are told by the name scope
that the builder gave its function.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.pipelines.addresses import address_of
from pipeprof.profiles.run.xplane import Event, read_events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeprof.profiles.run.loop import Feed

SECONDS = 0.5
AT_LEAST = 4
AT_MOST = 2000
PATIENCE_SECONDS = 3.0
_PYTHON = re.compile(r":(?:Eager)?PyFunc(?:Stateless)?$")
_OP = re.compile(r"^(?P<scope>(?:stages_\d+|source)(?:_stages_\d+|_source)*)/(?:.*/)?[^/:]+:(?P<op>\w+)$")


@dataclass(frozen=True)
class Traced:
    """What a trace gave.

    Attributes:
        batches: Batches taken while tracing.
        ops: Milliseconds in all threads, by stage address and op.
        seconds: Length of the traced stretch.
        python_seconds: Part of it in which at least one Python function of the pipeline ran.
        python_ms: Milliseconds inside Python functions, summed over threads.
        note: What a reader of the report should know, if anything.
    """

    batches: int = 0
    ops: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0
    python_seconds: float = 0.0
    python_ms: float = 0.0
    note: str | None = None


def ops_by_stage(events: Iterable[Event]) -> dict[str, dict[str, float]]:
    """Sum the durations of ops, in milliseconds, by the address of the stage whose function they belong to."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in events:
        if match := _OP.match(event.name):
            found[address_of(match["scope"])][match["op"].lstrip("_")] += event.duration_ps / 1e9
    return {address: dict(ops) for address, ops in found.items()}


def python_time(events: Iterable[Event]) -> tuple[float, float]:
    """Seconds in which at least one Python function ran, and milliseconds inside them summed over threads."""
    spans = sorted((e.start_ps, e.start_ps + e.duration_ps) for e in events if _PYTHON.search(e.name))
    covered, until = 0, 0
    for start, end in spans:
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered / 1e12, sum(end - start for start, end in spans) / 1e9


def traced_ops(feed: Feed) -> Traced:
    """Take batches under TensorFlow's profiler for half a second, and read what ran."""
    import tensorflow as tf

    profiler = tf.profiler.experimental
    with tempfile.TemporaryDirectory(prefix="pipeprof-trace-") as folder:
        options = profiler.ProfilerOptions(host_tracer_level=1, python_tracer_level=0, device_tracer_level=0)
        try:
            profiler.start(folder, options)
        except tf.errors.OpError as error:
            return Traced(note=f"no trace: {str(error).splitlines()[0]}")
        batches, elapsed = 0, 0.0
        began = time.perf_counter()
        try:
            while batches < AT_MOST:
                feed.next()
                batches += 1
                elapsed = time.perf_counter() - began
                if elapsed > (SECONDS if batches >= AT_LEAST else PATIENCE_SECONDS):
                    break
        finally:
            profiler.stop()
        files = sorted(Path(folder).rglob("*.xplane.pb"))
        if not files:
            return Traced(note="no trace: TensorFlow wrote none")
        events = [event for file in files for event in read_events(file.read_bytes())]
        python_seconds, python_ms = python_time(events)
        return Traced(batches, ops_by_stage(events), elapsed, python_seconds, python_ms)
