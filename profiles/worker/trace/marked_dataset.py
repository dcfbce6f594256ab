"""Choice of the traced pipeline: the measured iterator itself, or a rebuilt pipeline with marks in its functions.

Rebuilding runs the user's generators once more and refills the buffers, so it is done only where ops of several stages
are otherwise ambiguous, and not where it would take long or give another pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.in_calls import with_scopes
from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.costs.op_owners import Marks
from pipeprof.pipelines.graph.observe.reading import SPARED_BYTES, readable, serialised
from pipeprof.pipelines.graph.read.graphdef import GraphDefReader
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.executed_ops import family
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.worker.steps.loop import Feed

LONGEST_FILL_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 0.3


def to_trace(
    dataset: Any,
    feed: Feed,
    *,
    in_memory: int,
    room: int | None,
    watch: CallWatch | None,
    again: bool,
    fill_seconds: float,
    stop: Callable[[], bool],
) -> tuple[Feed, Marks | None]:
    """Choose the feed to trace; return it with the ops of its functions by dataset (None where unknown).

    Args:
        in_memory: Bytes that its sources and captured tensors hold in memory, at most.
        room: Bytes that reading its graph may take; None for any number.
        again: Whether it may be rebuilt with marks.
        fill_seconds: How long its first element took.
    """
    read, size = readable(dataset, in_memory=in_memory, room=room, watch=watch)
    found = marks_of(read, size, room, watch)
    if found is None:
        return feed, None
    marked = None
    if again and read is dataset:
        marked = marked_feed(dataset, *found, watch, fill_seconds=fill_seconds, stop=stop)
    return marked or feed, found[0]


def marks_of(
    dataset: Any, in_memory: int, room: int | None, watch: CallWatch | None = None
) -> tuple[Marks, Any] | None:
    """Return the ops of the pipeline's functions by dataset, and its graph; None where it is too large to read.

    Args:
        in_memory: Bytes that its sources and captured tensors hold in memory, at most.
        room: Bytes that reading may take; None for any number.
    """
    if in_memory > SPARED_BYTES:
        return None
    graph = serialised(dataset, in_memory=in_memory, room=room)
    called = watch.lines.python if watch is not None else None
    return None if isinstance(graph, str) else (Marks(graph, called), graph)


def marked_feed(
    dataset: Any, marks: Marks, graph: Any, watch: CallWatch | None, *, fill_seconds: float, stop: Callable[[], bool]
) -> Feed | None:
    """Build the pipeline again with each function in a name scope of its own, and start it.

    Args:
        fill_seconds: How long its first element took.

    Returns:
        None where that is impossible or not needed.
    """
    import tensorflow as tf

    if not marks.ambiguous() or fill_seconds > LONGEST_FILL_SECONDS or watch is None:
        return None
    if any(traits(node.op).stores or family(node.op) == "Save" for node in graph.node):
        return None
    try:
        with watch:
            again, addresses = with_scopes(dataset, watch.calls)
        read = GraphDefReader(graph, lambda enum: str(tf.dtypes.as_dtype(enum).name)).read()
        heads = {stage.address: stage.head for stage in StageGraph.from_dict(read).stages()}
        found = serialised(again, in_memory=0)
        if isinstance(found, str):
            return None
        marks.scoped([heads[address] for address in addresses], found)
        feed = Feed(again)
        began = time.perf_counter()
        while time.perf_counter() - began < SETTLE_SECONDS and not stop():
            feed.next()
    except (CannotChangeError, KeyError, tf.errors.OpError, ValueError, TypeError):
        return None
    return feed
