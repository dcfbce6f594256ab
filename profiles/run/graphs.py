"""The graphs of the measured dataset, read in the worker after its last measurement."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.graph.reading import read_executed, read_written


def read_graphs(dataset: Any, in_memory: int) -> dict[str, Any]:
    """The dataset's graph as written and as TensorFlow runs it.

    Args:
        dataset: A `tf.data.Dataset`.
        in_memory: Bytes that making it took at most; a graph of too large a source is not read.
    """
    written = read_written(dataset, in_memory=in_memory)
    return {"written": written, "executed": read_executed(dataset, in_memory=in_memory, written=written)}
