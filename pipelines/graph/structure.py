"""The structure of a pipeline as one hash: which datasets read which, without names and values."""

from __future__ import annotations

import hashlib
import json

from pipeprof.pipelines.graph.stages import StageGraph


def structure_hash(graph: StageGraph) -> str | None:
    """Hash the datasets, what they read, the types of their elements and the ops of their functions; None without any.

    Constants, shapes, names and options do not count: another batch size is the same structure, another op is not.
    """
    nodes = list(graph.walk())
    if not nodes:
        return None
    places = {node.id: place for place, node in enumerate(nodes)}
    rows = [
        (
            node.op,
            [places[graph.skip_options(read)] for read in node.inputs],
            [places[graph.skip_options(body)] for body in node.bodies],
            node.output_types,
            node.function["ops"] if node.function is not None else None,
        )
        for node in nodes
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
