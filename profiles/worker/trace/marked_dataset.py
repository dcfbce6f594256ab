"""Choice of the traced pipeline: the measured iterator itself, or a rebuilt pipeline with marks in its functions.

Rebuilding runs the user's generators once more and refills the buffers, so it is done only where ops of several stages
are otherwise ambiguous, and not where it would take long or give another pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.costs.op_owners import Marks
from pipeprof.pipelines.graph.edit.editable import EditableGraph
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.resources import hand_through
from pipeprof.pipelines.graph.observe.in_memory_sources import SourceWatch
from pipeprof.pipelines.graph.observe.reading import SPARED_BYTES, readable, serialised
from pipeprof.pipelines.ops.executed_ops import family
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.worker.steps.loop import Feed

LONGEST_FILL_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 0.3


def to_trace(
    dataset: Any,
    feed: Feed,
    *,
    in_memory: int,
    room: int | None,
    watch: SourceWatch | None,
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
    marked = marked_feed(dataset, *found, fill_seconds, stop) if again and read is dataset else None
    return marked or feed, found[0]


def marks_of(
    dataset: Any, in_memory: int, room: int | None, watch: SourceWatch | None = None
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


def marked_feed(dataset: Any, marks: Marks, graph: Any, fill_seconds: float, stop: Callable[[], bool]) -> Feed | None:
    """Rebuild the pipeline with marks and start it; None where that is impossible or not needed.

    Args:
        fill_seconds: How long its first element took.
    """
    import tensorflow as tf

    if not marks.ambiguous() or fill_seconds > LONGEST_FILL_SECONDS:
        return None
    if any(traits(node.op).stores or family(node.op) == "Save" for node in graph.node):
        return None
    try:
        live = EditableGraph(graph)
        hand_through(live, dataset)
        marked = EditableGraph(marks.marked(tf.compat.v1.GraphDef), live.held)
        for name, node in live.nodes.items():
            # Marks are in functions: the nodes that call them are the same.
            marked.nodes.setdefault(name, node).input[:] = node.input
        variant = marked.real_variant(marked.root)
        again = tf.data.experimental.from_variant(variant, dataset.element_spec).with_options(dataset.options())
        feed = Feed(again)
        began = time.perf_counter()
        while time.perf_counter() - began < SETTLE_SECONDS and not stop():
            feed.next()
    except (CannotEditError, tf.errors.OpError, ValueError, TypeError):
        return None
    return feed
