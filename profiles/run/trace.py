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
_OP = re.compile(r"^(?P<scope>(?:stages_\d+|source)(?:_stages_\d+|_source)*)/(?:.*/)?[^/:]+:(?P<op>\w+)$")


@dataclass(frozen=True)
class Traced:
    """What a trace gave.

    Attributes:
        batches: Batches taken while tracing.
        ops: Milliseconds in all threads, by stage address and op.
        note: What a reader of the report should know, if anything.
    """

    batches: int = 0
    ops: dict[str, dict[str, float]] = field(default_factory=dict)
    note: str | None = None


def ops_by_stage(events: Iterable[Event]) -> dict[str, dict[str, float]]:
    """Sum the durations of ops, in milliseconds, by the address of the stage whose function they belong to."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in events:
        if match := _OP.match(event.name):
            found[address_of(match["scope"])][match["op"].lstrip("_")] += event.duration_ps / 1e9
    return {address: dict(ops) for address, ops in found.items()}


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
        batches = 0
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
        return Traced(batches, ops_by_stage(event for file in files for event in read_events(file.read_bytes())))
