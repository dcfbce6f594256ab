"""Assignment of the ops in a trace to the datasets whose functions run them.

A trace names ops by their path in the function that ran (``resize/ResizeBilinear:ResizeBilinear``). Where two datasets
have the same path, the pipeline can be built again with every function in a name scope of its own (`Marks.scoped`).
Datasets have the ids of `GraphDict`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.graph.observe.created import Spot
from pipeprof.pipelines.graph.read.function_facts import CALLS, PYTHON, SILENT
from pipeprof.pipelines.graph.read.records import function_names
from pipeprof.pipelines.meaning.executed_ops import is_dataset

_MARK: Final = re.compile(r"(?:^|/)pipeprof_(?P<number>\d+)/")
_MAX_DEPTH: Final = 20


@dataclass
class Paths:
    """Contents of one dataset's functions: node paths with their ops, and tokens of Python functions."""

    ops: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)


class Marks:
    """Ops and Python functions of a graph by the dataset whose functions they are in; ``called``: where, by token."""

    def __init__(self, graph: Any, called: Mapping[str, Spot] | None = None) -> None:
        self.called = called or {}
        self._functions = {function.signature.name: function for function in graph.library.function}
        self.datasets: dict[str, Paths] = {}
        self._scoped: list[str] = []
        self._walk(graph.node, "", None, 0)
        by_path: dict[str, set[str]] = defaultdict(set)
        for dataset, paths in self.datasets.items():
            for path in paths.ops:
                by_path[path].add(dataset)
        self._by_path = dict(by_path)

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
        found = [one for one, paths in self.datasets.items() if token in paths.tokens]
        return found[0] if len(found) == 1 else None

    def scoped(self, datasets: Sequence[str], graph: Any) -> None:
        """Take the functions of datasets as traced in scopes ``pipeprof_N`` of another graph."""
        self._scoped = list(datasets)
        for owners in self._by_path.values():
            owners.difference_update(datasets)
        for function in graph.library.function:
            for node in function.node_def:
                mark = _MARK.match(node.name)
                if node.op in PYTHON and mark is not None:
                    self.datasets.setdefault(self._scoped[int(mark["number"])], Paths()).tokens.add(
                        node.attr["token"].s.decode()
                    )

    def _walk(self, nodes: Iterable[Any], prefix: str, dataset: str | None, depth: int) -> None:
        if depth > _MAX_DEPTH:
            return
        for node in nodes:
            own, inside = dataset, f"{prefix}{node.name}/"
            if is_dataset(node.op):
                own = prefix + node.name
                self.datasets.setdefault(own, Paths())
            for name in function_names(node):
                definition = self._functions.get(name)
                if definition is None:
                    continue
                below = f"{own}::{name}::" if own != dataset else inside
                self._note(definition, own)
                self._walk(definition.node_def, below, own, depth + 1)

    def _note(self, definition: Any, dataset: str | None) -> None:
        if dataset is None:
            return
        paths = self.datasets[dataset]
        for node in definition.node_def:
            if node.op not in SILENT and not is_dataset(node.op) and node.op not in CALLS:
                paths.ops.setdefault(node.name, node.op)
            if node.op in PYTHON:
                paths.tokens.add(node.attr["token"].s.decode())
