"""Where in the user's own files every dataset was made: seen while it is made, joined with the written graph later.

Python's profiling hook (see `pipelines.graph.sources`) tells whenever a ``Dataset`` object has been initialised, and
the stack tells who made it. The object itself is then the link: the objects that a dataset reads stand in the order of
the graph's inputs, and a dataset that a function makes is an op of that function, of the same name in the graph.
Nothing is joined by its kind or by its order in time, so what cannot be joined gets no line rather than a guessed one.
"""

from __future__ import annotations

import ast
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from pipeprof.pipelines.graph.records import CallerDict, GraphDict, NodeDict, PlaceDict
from pipeprof.pipelines.user_files import is_generated, is_users

_MOST_CALLERS = 8
# TensorFlow's calls between a traced function and the dataset object that it returns.
_NEAR = 12
_MOST_RECORDS = 100_000


@dataclass(frozen=True)
class _Spot:
    """A frame of the user's: `end` is where the call ends, in line and UTF-8 bytes, where Python tells."""

    file: str
    line: int
    function: str
    end: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Made:
    """A dataset that was made.

    Attributes:
        spots: Frames of the user's, innermost first.
        dataset: The object.
        op: Graph and name of its op, if it was made while a function was traced.
        inputs: Names of the ops it reads, in the same graph.
        returned: Graph and name of the op that a traced function gave it out of.
    """

    spots: tuple[_Spot, ...]
    dataset: weakref.ref[Any]
    op: tuple[int, str] | None = None
    inputs: tuple[str, ...] = ()
    returned: tuple[int, str] | None = None


@dataclass
class Lines:
    """Notes datasets as they are made.

    Args:
        own: Whether a file is the user's own.
    """

    own: Callable[[str], bool] = is_users
    _objects: dict[int, _Made] = field(default_factory=dict)
    _ops: dict[tuple[int, str], _Made] = field(default_factory=dict)
    _graphs: weakref.WeakKeyDictionary[Any, int] = field(default_factory=weakref.WeakKeyDictionary)
    _functions: dict[str, int] = field(default_factory=dict)
    _count: int = 0

    def saw(self, frame: FrameType) -> None:
        """A dataset's initialiser has returned; ``frame`` is its frame."""
        dataset: Any = frame.f_locals.get("self")
        variant: Any = frame.f_locals.get("variant_tensor")
        if dataset is None or variant is None or len(self._objects) + len(self._ops) >= _MOST_RECORDS:
            return
        made = _Made(tuple(islice(self._spots(frame), _MOST_CALLERS)), weakref.ref(dataset))
        graph = getattr(variant, "graph", None)
        for wrapper in dataset._functions():
            function: Any = getattr(wrapper, "function", None)
            if function is not None and getattr(function, "graph", None) is not None:
                self._functions[_text(function.name)] = self._number(function.graph)
        if graph is None:
            self._objects[id(dataset)] = replace(made, returned=self._returned_from(frame))
            return
        op = (self._number(graph), variant.op.name)
        read: list[Any] = [one._variant_tensor for one in dataset._inputs()]
        here = all(getattr(one, "graph", None) is graph for one in read)
        self._ops[op] = replace(made, op=op, inputs=tuple(one.op.name for one in read) if here else ())

    def places(self, dataset: Any, written: GraphDict) -> dict[str, PlaceDict]:
        """Places of the datasets of ``written``, the graph of ``dataset``, by their ids."""
        nodes = {node["id"]: node for node in written["nodes"]}
        found: dict[str, _Made] = {}
        if written["root"] in nodes:
            self._join(dataset, nodes[written["root"]], nodes, found)
        for identity in nodes:
            *_, function, local = ("", *identity.split("::")) if "::" in identity else ("", "", "")
            made = self._ops.get((self._functions.get(function, 0), local))
            if made is not None:
                found.setdefault(identity, made)
        return {identity: place for identity, made in found.items() if (place := _place(made)) is not None}

    def _join(self, dataset: Any, node: NodeDict, nodes: dict[str, NodeDict], found: dict[str, _Made]) -> None:
        """Along the objects, inputs in their order; iterative, because pipelines in loops grow long."""
        todo = [(dataset, node)]
        while todo:
            held, at = todo.pop()
            one = getattr(held, "_dataset", held)
            made = self._objects.get(id(one))
            known = made.dataset() if made is not None else None
            if made is None or known is None or known is not one or at["id"] in found or not _same_name(one, at):
                continue
            found[at["id"]] = made
            inputs = known._inputs()
            if not inputs and made.returned is not None:
                self._join_traced(made.returned, at, nodes, found)
            elif len(inputs) == len(at["inputs"]):
                todo.extend(zip(inputs, [nodes[name] for name in at["inputs"]], strict=True))

    def _join_traced(
        self, op: tuple[int, str], node: NodeDict, nodes: dict[str, NodeDict], found: dict[str, _Made]
    ) -> None:
        """Along the ops of a traced function that returned the dataset."""
        todo = [(op, node)]
        while todo:
            (graph, name), at = todo.pop()
            made = self._ops.get((graph, name))
            if made is None:
                continue
            found[at["id"]] = made
            if len(made.inputs) == len(at["inputs"]):
                todo.extend(((graph, one), nodes[below]) for one, below in zip(made.inputs, at["inputs"], strict=True))

    def _number(self, graph: Any) -> int:
        """A number for a graph that no other graph ever gets, also after this one is gone."""
        if graph not in self._graphs:
            self._count += 1
            self._graphs[graph] = self._count
        return self._graphs[graph]

    def _returned_from(self, frame: FrameType) -> tuple[int, str] | None:
        """The op in the traced function whose result this dataset object wraps."""
        if type(frame.f_locals.get("self")).__name__ != "_VariantDataset":
            return None
        at = frame.f_back
        for _ in range(_NEAR):
            if at is None:
                return None
            graph = getattr(at.f_locals.get("self"), "graph", None)
            outputs = [one for one in getattr(graph, "outputs", ()) if one.dtype.name == "variant"]
            if outputs:
                op = outputs[0].op
                while op.type == "Identity":
                    op = op.inputs[0].op
                return (self._number(graph), op.name) if len(outputs) == 1 else None
            at = at.f_back
        return None

    def _spots(self, frame: FrameType) -> Iterator[_Spot]:
        at = frame.f_back
        while at is not None:
            file = at.f_code.co_filename
            if is_generated(file):
                spot = _original(at)
                if spot is not None and self.own(spot.file):
                    yield spot
            elif self.own(file):
                yield _Spot(file, at.f_lineno, at.f_code.co_name, _call_end(at))
            at = at.f_back


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _same_name(dataset: Any, node: NodeDict) -> bool:
    """Whether the user's name of the object, if there is one, is the node's."""
    name = _text(getattr(getattr(dataset, "_metadata", None), "name", b"") or b"")
    return not name or name == node["key"]


def _original(frame: FrameType) -> _Spot | None:
    """The user's line that a line of AutoGraph's generated code was made from."""
    file, line = frame.f_code.co_filename, frame.f_lineno
    at = frame.f_back
    while at is not None:
        sources = getattr(at.f_locals.get("converted_f"), "ag_source_map", None)
        for location, origin in (sources or {}).items():
            if location.lineno == line and location.filename == file:
                # AutoGraph takes a lambda for the statement that it stands in.
                code = getattr(at.f_locals.get("target_entity"), "__code__", None)
                of_lambda = code is not None and code.co_name == "<lambda>" == frame.f_code.co_name.rpartition("_")[2]
                start = code.co_firstlineno if of_lambda and code is not None else origin.loc.lineno
                return _Spot(origin.loc.filename, start, origin.function_name or "<lambda>")
        at = at.f_back
    return None


def _call_end(frame: FrameType) -> tuple[int, int] | None:
    """Where the call that the frame is in ends; Python 3.10 does not tell."""
    positions = getattr(frame.f_code, "co_positions", None)
    if positions is None:
        return None
    _, line, _, column = next(islice(positions(), frame.f_lasti // 2, None), (None,) * 4)
    return (line, column) if line is not None and column is not None else None


def _place(made: _Made) -> PlaceDict | None:
    if not made.spots:
        return None
    inner = made.spots[0]
    outer = [one for before, one in pairwise(made.spots) if (one.file, one.line) != (before.file, before.line)]
    line, column = _name_of_call(inner)
    callers: list[CallerDict] = [{"file": one.file, "line": one.line, "function": one.function} for one in outer]
    return {"file": inner.file, "line": line, "column": column, "function": inner.function, "callers": callers}


def _name_of_call(spot: _Spot) -> tuple[int, int | None]:
    """Line and column, both from 1, of the method's name in the user's text: ``batch`` in a chain of calls."""
    name = _calls(spot.file).get(spot.end) if spot.end is not None else None
    return name if name is not None else (spot.line, None)


@lru_cache(maxsize=64)
def _calls(file: str) -> dict[tuple[int, int] | None, tuple[int, int]]:
    """Where the name of a called function or method stands, by the end of the call."""
    try:
        text = Path(file).read_bytes()
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return {}
    lines = text.splitlines()
    found: dict[tuple[int, int] | None, tuple[int, int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.end_lineno is not None and node.end_col_offset is not None:
            name = node.func
            line, offset = name.lineno, name.col_offset
            if isinstance(name, ast.Attribute) and name.end_lineno is not None and name.end_col_offset is not None:
                line, offset = name.end_lineno, name.end_col_offset - len(name.attr.encode())
            column = len(lines[line - 1][:offset].decode("utf-8", "replace")) + 1
            found[node.end_lineno, node.end_col_offset] = (line, column)
    return found
