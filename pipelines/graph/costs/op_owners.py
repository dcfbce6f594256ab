"""Assignment of the ops in a trace to the datasets whose functions run them.

A trace names ops by their path in the function that ran (``resize/ResizeBilinear:ResizeBilinear``). Where two datasets
have the same path, the pipeline can be rebuilt with every function's nodes under a mark of its dataset
(`Marks.marked`). Datasets have the ids of `GraphDict`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.graph.observe.provenance import Spot
from pipeprof.pipelines.graph.read.function_facts import CALLS, PYTHON, SILENT
from pipeprof.pipelines.ops.executed_ops import is_dataset

_MARK: Final = re.compile(r"(?:^|/)pipeprof_(?P<number>\d+)/")
_MAX_DEPTH: Final = 20


@dataclass
class Paths:
    """Contents of one dataset's functions: node paths with their ops, and tokens of Python functions."""

    ops: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)


class Marks:
    """Ops and Python functions of a graph by the dataset whose functions they are in.

    Args:
        called: Where Python functions were put into the graph, by TensorFlow's names of them.
    """

    def __init__(self, graph: Any, called: Mapping[str, Spot] | None = None) -> None:
        self.called = called or {}
        self._graph = graph
        self._functions = {function.signature.name: function for function in graph.library.function}
        self.datasets: dict[str, Paths] = {}
        self._walk(list(graph.node), "", None, 0, None)
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

        Functions that are called inside are inlined under the name of the call, so a path may begin with names that no
        function contains.
        """
        marks = list(_MARK.finditer(path))
        if marks:
            number = int(marks[0]["number"])
            return list(self.datasets)[number] if number < len(self.datasets) else None
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

    def marked(self, empty: Callable[[], Any]) -> Any:
        """Copy the graph with every function's nodes under a mark of its dataset."""
        graph = empty()
        graph.CopyFrom(self._graph)
        del graph.library.function[:]
        self._walk(list(graph.node), "", None, 0, graph.library)
        # Functions that no dataset refers to, such as gradients, stay unchanged.
        graph.library.function.extend(self._graph.library.function)
        return graph

    def _walk(self, nodes: list[Any], prefix: str, dataset: str | None, depth: int, library: Any | None) -> None:
        """Visit the nodes of a graph or of a function's body.

        With a `library`, functions are copied into it with marks, and the nodes made to refer to the copies.
        """
        if depth > _MAX_DEPTH:
            return
        for node in nodes:
            own, inside = dataset, f"{prefix}{node.name}/"
            if is_dataset(node.op):
                own = prefix + node.name
                self.datasets.setdefault(own, Paths())
            for reference in _functions(node):
                definition = self._functions.get(reference.name)
                if definition is None:
                    continue
                below = f"{own}::{reference.name}::" if own != dataset else inside
                self._note(definition, own)
                body = definition if library is None else self._copy_function(definition, reference, library)
                self._walk(list(body.node_def), below, own, depth + 1, library)
                if library is not None and own is not None:
                    # After its own references have been followed under the names that the ids are made of.
                    _rename(body, f"pipeprof_{list(self.datasets).index(own)}/")

    def _note(self, definition: Any, dataset: str | None) -> None:
        if dataset is None:
            return
        paths = self.datasets[dataset]
        for node in definition.node_def:
            if node.op not in SILENT and not is_dataset(node.op) and node.op not in CALLS:
                paths.ops.setdefault(node.name, node.op)
            if node.op in PYTHON:
                paths.tokens.add(node.attr["token"].s.decode())

    @staticmethod
    def _copy_function(definition: Any, reference: Any, library: Any) -> Any:
        copy = library.function.add()
        copy.CopyFrom(definition)
        copy.signature.name = f"{definition.signature.name}_pipeprof_{len(library.function)}"
        reference.name = copy.signature.name
        return copy


def _functions(node: Any) -> Iterator[Any]:
    """Yield references to functions in a node's attributes, sorted: the order of a message's map is not fixed."""
    for key in sorted(node.attr):
        value = node.attr[key]
        if value.func.name:
            yield value.func
        yield from value.list.func


def _rename(function: Any, mark: str) -> None:
    names = {node.name for node in function.node_def}

    def renamed(reference: str) -> str:
        control = "^" if reference.startswith("^") else ""
        name, colon, rest = reference.removeprefix("^").partition(":")
        return f"{control}{mark}{name}{colon}{rest}" if name in names else reference

    for node in function.node_def:
        node.name = mark + node.name
        # Colocation constraints name other nodes by their old names.
        node.attr.pop("_class", None)
        node.input[:] = [renamed(input_) for input_ in node.input]
    for results in (function.ret, function.control_ret):
        for key in results:
            results[key] = renamed(results[key])
