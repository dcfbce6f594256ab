"""Effects of a pipeline on other things than its elements (worker only: needs TensorFlow).

Files that its graph or its build writes; random numbers of parallel calls, which depend on the order of these.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict
from pipeprof.pipelines.meaning.executed_ops import written_op
from pipeprof.pipelines.meaning.traits import traits


def draws_in_any_order(graph: GraphDict) -> bool:
    """Return whether functions that draw random numbers run in parallel, also those inside of such functions."""
    by_id = {node["id"]: node for node in graph["nodes"]}
    return any(_is_random(node) and any(map(_is_parallel, _around(node, by_id))) for node in graph["nodes"])


def _is_random(node: NodeDict) -> bool:
    return node["function"] is not None and node["function"]["random"] is True


def _is_parallel(node: NodeDict) -> bool:
    return node["arguments"].get("num_parallel_calls", 1) not in (None, 0, 1)


def _around(node: NodeDict, by_id: dict[str, NodeDict]) -> list[NodeDict]:
    found = [node]
    while (owner := found[-1]["owner"]) is not None and owner in by_id:
        found.append(by_id[owner])
    return found


def file_writer(graph: GraphDict) -> str | None:
    """Name the first stage or op that writes files; None if there is none.

    Python functions may write files as well, which a graph does not show.
    """
    return next((name for node in graph["nodes"] if (name := _writer(node)) is not None), None)


def _writer(node: NodeDict) -> str | None:
    op = written_op(node["op"])
    row = traits(op)
    # A file name that is not among the arguments is computed, as one for each element of an outer pipeline is.
    has_file = "filename" in row.positional and node["arguments"].get("filename") != ""
    if row.stores and (row.composed or has_file):
        return op
    function = node["function"]
    inside = function.get("writes") if function is not None else None
    return f"{inside} in {op}" if inside is not None else None


class SaveGuard:
    """Stops a build that saves a dataset, inside a ``with`` block."""

    def __init__(self) -> None:
        self.asked = False
        self._own: Any = None

    def __enter__(self) -> SaveGuard:
        import tensorflow as tf

        self._own = own = tf.data.Dataset.save

        def save(dataset: Any, *arguments: Any, **named: Any) -> Any:
            if tf.inside_function():
                # Nothing is written yet, and the graph will show it.
                return own(dataset, *arguments, **named)
            self.asked = True
            raise RuntimeError("Dataset.save is not called while several processes build the dataset")

        tf.data.Dataset.save = save
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import tensorflow as tf

        tf.data.Dataset.save = self._own
