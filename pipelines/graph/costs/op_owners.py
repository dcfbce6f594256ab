"""Assignment of the ops in a trace to the datasets whose functions run them.

A trace names ops by their path in the function that ran (``resize/ResizeBilinear:ResizeBilinear``). Where two datasets
have the same path, the pipeline can be built again with every function in a name scope of its own (`Marks.scoped`).
Datasets have the ids of `GraphDict`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from pipeprof.pipelines.graph.observe.created import Spot
from pipeprof.pipelines.graph.read.function_facts import CALLS
from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict
from pipeprof.pipelines.meaning.executed_ops import is_dataset

_MARK: Final = re.compile(r"(?:^|/)pipeprof_(?P<number>\d+)/")


class Marks:
    """Ops and Python functions of a graph by the dataset whose functions they are in; ``called``: where, by token."""

    def __init__(self, graph: GraphDict, called: Mapping[str, Spot] | None = None) -> None:
        self.called = called or {}
        self._scoped: list[str] = []
        self._tokens = {node["id"]: _tokens(node) for node in graph["nodes"]}
        self._by_path: dict[str, set[str]] = defaultdict(set)
        for node in graph["nodes"]:
            for path, op in node["ops"].items():
                if op not in CALLS and not is_dataset(op):
                    self._by_path[path].add(node["id"])

    def ambiguous(self) -> set[str]:
        """Return paths that functions of more than one dataset contain."""
        return {path for path, datasets in self._by_path.items() if len(datasets) > 1}

    def dataset_of(self, path: str) -> str | None:
        """Return the dataset whose function contains the op at `path`; None where it is ambiguous or unknown.

        Called functions are inlined under the name of the call: a path may begin with names that no function contains.
        """
        marks = list(_MARK.finditer(path))
        if marks:
            number = int(marks[0]["number"])
            return self._scoped[number] if number < len(self._scoped) else None
        while path:
            found = self._by_path.get(path)
            if found is not None:
                return next(iter(found)) if len(found) == 1 else None
            path = path.partition("/")[2]
        return None

    def dataset_with(self, token: str) -> str | None:
        """Return the dataset whose function calls the Python function that TensorFlow knows as `token`."""
        found = [one for one, tokens in self._tokens.items() if token in tokens]
        return found[0] if len(found) == 1 else None

    def scoped(self, datasets: Sequence[str], graph: GraphDict) -> None:
        """Take the functions of datasets as traced in scopes ``pipeprof_N`` of another graph."""
        self._scoped = list(datasets)
        for owners in self._by_path.values():
            owners.difference_update(datasets)
        for node in graph["nodes"]:
            mark = next(filter(None, map(_MARK.match, node["ops"])), None)
            if mark is not None:
                self._tokens[self._scoped[int(mark["number"])]] |= _tokens(node)


def _tokens(node: NodeDict) -> set[str]:
    return {*node["function"].get("tokens", ())} if node["function"] is not None else set()
