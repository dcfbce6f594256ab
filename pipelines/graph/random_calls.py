"""Random numbers that several calls of a function draw at a time: which element gets which is another in each run."""

from __future__ import annotations

from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict

_CALLS = "num_parallel_calls"


def draws_in_any_order(graph: GraphDict) -> bool:
    """Return whether functions that draw random numbers run in parallel, also those inside of such functions.

    Args:
        graph: As the user wrote it, with the datasets inside functions.
    """
    by_id = {node["id"]: node for node in graph["nodes"]}
    return any(_is_random(node) and any(map(_is_parallel, _around(node, by_id))) for node in graph["nodes"])


def _is_random(node: NodeDict) -> bool:
    return node["function"] is not None and node["function"]["random"] is True


def _is_parallel(node: NodeDict) -> bool:
    return node["arguments"].get(_CALLS, 1) not in (None, 0, 1)


def _around(node: NodeDict, by_id: dict[str, NodeDict]) -> list[NodeDict]:
    """The stage and those in whose functions it is."""
    found = [node]
    while (owner := found[-1]["owner"]) is not None and owner in by_id:
        found.append(by_id[owner])
    return found
