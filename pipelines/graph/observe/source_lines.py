"""Source lines of datasets in the user's files, observed at creation and joined with the written graph later.

Python's profiling hook (see `pipelines.graph.sources`) reports each return of a TensorFlow op that creates a dataset
(``tf.raw_ops.MapDataset``, …), and the stack shows its caller. The tensor it returned is then the link: the tensors
that an op was given stand in the order of the graph's inputs, and an op that was called while a function was traced has
the same name in the graph. Nothing is joined by its kind or by its order in time, so what cannot be joined gets no line
rather than a guessed one.
"""

from __future__ import annotations

import ast
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, islice, pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from pipeprof.pipelines.graph.observe.build_hook import callers
from pipeprof.pipelines.graph.observe.given_function import file_in_library, given_function, library_frames
from pipeprof.pipelines.graph.observe.graph_constants import NOTED_FROM, ObservedConstant, constant_size, name_of_array
from pipeprof.pipelines.graph.observe.held import Held
from pipeprof.pipelines.graph.observe.placeholder_source import StandIn, held_by, stand_in
from pipeprof.pipelines.graph.observe.provenance import CreatedDataset, Spot, is_variant, kept
from pipeprof.pipelines.graph.observe.without_constants import without_constants
from pipeprof.pipelines.graph.read.graphdef import metadata_name
from pipeprof.pipelines.graph.read.records import CallerDict, ConstantDict, GraphDict, PlaceDict
from pipeprof.pipelines.ops.executed_ops import written_op
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.target.user_files import is_generated, is_users, read_source

_MOST_CALLERS = 8
_MOST_RECORDS = 100_000


@dataclass
class Lines:
    """Recorder of datasets at their creation.

    Args:
        own: Whether a file is the user's own.

    Attributes:
        python: Places where Python functions were wrapped for the pipeline, by TensorFlow's tokens.
    """

    own: Callable[[str], bool] = is_users
    python: dict[str, Spot] = field(default_factory=dict)
    constants: list[ObservedConstant] = field(default_factory=list)
    _eager: dict[int, tuple[weakref.ref[Any], CreatedDataset]] = field(default_factory=dict)
    _traced: dict[tuple[int, str], CreatedDataset] = field(default_factory=dict)
    _graphs: weakref.WeakKeyDictionary[Any, int] = field(default_factory=weakref.WeakKeyDictionary)
    _functions: dict[str, int] = field(default_factory=dict)
    _stand_ins: dict[CreatedDataset, StandIn | None] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def made(self, op: str, frame: FrameType, variant: Any) -> None:
        """Record that the dataset op ``op`` returned the tensor ``variant``; ``frame`` is the op's."""
        import tensorflow as tf

        if not isinstance(variant, tf.Tensor) or len(self._eager) + len(self._traced) >= _MOST_RECORDS:
            return
        given = frame.f_locals
        arguments = {name: given.get(name) for name in frame.f_code.co_varnames[: frame.f_code.co_argcount]}
        metadata = arguments.get("metadata")
        reads: list[CreatedDataset | None] = []
        functions: list[int] = []
        for value in arguments.values():
            for one in value if isinstance(value, (list, tuple)) else (value,):
                if is_variant(one):
                    reads.append(self._creation_of(one))
                elif isinstance(one, tf.types.experimental.ConcreteFunction):
                    function: Any = one
                    functions.append(self._number(function.graph))
                    self._functions[_text(function.name)] = functions[-1]
        tensorflow = str(Path(tf.__file__).parent)
        called, library = library_frames(frame, tensorflow, self.own)
        single = traits(written_op(op)).single_function
        made = CreatedDataset(
            op,
            tuple(self._spots(frame, variant)),
            metadata_name(metadata) if isinstance(metadata, bytes) else None,
            tuple(reads),
            None if tf.is_symbolic_tensor(variant) else {name: kept(value) for name, value in arguments.items()},
            tuple(functions),
            given_function(called, library, tensorflow) if single else None,
            _spot(library) if library is not None else None,
        )
        self._note(variant, made)

    def called(self, frame: FrameType, result: Any) -> None:
        """Record that an op that calls a Python function returned tensors; ``frame`` is the op's."""
        outputs = result if isinstance(result, list) else [result]
        token = frame.f_locals.get("token")
        spots = self._spots(frame, outputs[0]) if outputs and token is not None else []
        if spots:
            self.python[_text(token)] = spots[0]

    def op_made(self, frame: FrameType, operation: Any) -> None:
        """Record that a graph's method returned: it may have made an op that holds an array."""
        import tensorflow as tf

        if not isinstance(operation, tf.Operation) or len(self.constants) >= _MOST_RECORDS:
            return
        nbytes = constant_size(operation)
        if nbytes is None or nbytes < NOTED_FROM:
            return
        tensor, graphs = operation.outputs[0], list(_around(operation.graph))
        spots, traced = self._spots(frame, tensor), self._traced_spots(operation)
        if traced and (not spots or spots[0].file != traced[0].file):
            # A function that pipeprof's builder of specs calls: AutoGraph converted the frames of both.
            spots = traced
        self.constants.append(
            ObservedConstant(
                nbytes,
                tensor.dtype.name,
                tuple(tensor.shape.as_list()),
                tuple(self._number(graph) for graph in graphs),
                name_of_array(frame, self._is_own_file),
                spots[0] if spots else None,
            )
        )

    def returned(self, frame: FrameType, result: Any) -> None:
        """Record that a traced function's method returned: its datasets may have come out as other tensors."""
        import tensorflow as tf

        function: Any = frame.f_locals.get(frame.f_code.co_varnames[0]) if frame.f_code.co_argcount else None
        if not isinstance(function, tf.types.experimental.ConcreteFunction):
            return
        outside = [one for one in tf.nest.flatten(result, expand_composites=True) if is_variant(one)]
        inside = [output for output in function.outputs if is_variant(output)] if outside else []
        if len(outside) != len(inside) or any(_graph_of(value) is function.graph for value in outside):
            return
        for one, origin in zip(outside, inside, strict=True):
            made = self._creation_of(origin)
            if made is not None:
                self._note(one, made)

    def places(self, dataset: Any, written: GraphDict) -> dict[str, PlaceDict]:
        """Return the places of the datasets of ``written``, the graph of ``dataset``, by their ids."""
        joined = self._join_datasets(dataset, written)
        return {identity: place for identity, made in joined.items() if (place := place_of(made)) is not None}

    def created(self, dataset: Any) -> CreatedDataset | None:
        """Return how a dataset was made."""
        import tensorflow as tf

        return self._creation_of(tf.data.experimental.to_variant(dataset))

    def created_in(self, function: Any) -> CreatedDataset | None:
        """Return how the dataset was made that a traced function returns; None where it returns none."""
        outputs = [output for output in function.outputs if is_variant(output)]
        return self._creation_of(outputs[0]) if len(outputs) == 1 else None

    def constants_of(self, dataset: Any, written: GraphDict) -> list[ConstantDict]:
        """Return the constants, each with the dataset of ``written`` whose function has it where that is known."""
        owners: dict[int, str] = {}
        for identity, made in self._join_datasets(dataset, written).items():
            owners.update(dict.fromkeys(made.functions, identity))
        return [
            constant.to_dict(next((owners[number] for number in constant.graphs if number in owners), None))
            for constant in self.constants
        ]

    def held_bytes(self, dataset: Any) -> int:
        """Return the bytes of constants in graphs and of the tensors that the functions of ``dataset`` capture."""
        import tensorflow as tf

        made = self._creation_of(tf.data.experimental.to_variant(dataset))
        captured = held_by(made) if made is not None else 0
        return sum(constant.nbytes for constant in self.constants) + captured

    def stand_in(self, dataset: Any) -> tuple[Any, int] | None:
        """Copy ``dataset`` without its large arrays; return it with the bytes saved, or None.

        It has the places of ``dataset``. Correct the sources in its graph with `set_sources`.
        """
        import tensorflow as tf

        made = self.created(dataset)
        if made is not None and made not in self._stand_ins:
            self._stand_ins[made] = stand_in(made, self._without_constants)
        found = self._stand_ins.get(made) if made is not None else None
        if found is None:
            return None
        for one, variant in found.again.items():
            self._note(variant, one)
        return tf.data.experimental.from_variant(found.variant, dataset.element_spec), found.saved

    def marked(self, dataset: Any) -> tuple[Any, Held, int] | None:
        """Copy ``dataset`` with marks in the place of large arrays; return its variant, these and their bytes, or None.

        Constants of functions stay where they are.
        """
        made = self.created(dataset)
        held = Held()
        found = stand_in(made, None, held) if made is not None else None
        return (found.variant, held, found.saved) if found is not None else None

    def set_sources(self, dataset: Any, written: GraphDict, executed: GraphDict) -> None:
        """Set the bytes of the real sources in the graphs of a `stand_in`."""
        keys = {node["id"]: node["key"] for node in written["nodes"]}
        joined = self._join_datasets(dataset, written)
        left_out = {
            made: how
            for other_stand_in in self._stand_ins.values()
            if other_stand_in
            for made, how in other_stand_in.left_out.items()
        }
        held = {keys[one]: left_out[made] for one, made in joined.items() if made in left_out}
        for node in (*written["nodes"], *executed["nodes"]):
            if node["key"] in held and node["owner"] is None:
                length, node["held_bytes"] = held[node["key"]]
                node["length"] = length if length is not None else node["length"]

    def _without_constants(self, function: Any) -> tuple[Any, int] | None:
        """Copy a function without its constants; return it with the bytes saved, or None where it has no large ones."""
        number = self._number(function.graph)
        large = sum(constant.nbytes for constant in self.constants if number in constant.graphs)
        if not large:
            return None
        slim = without_constants(function)
        self._functions[_text(slim.name)] = number
        return slim, large

    def _join_datasets(self, dataset: Any, written: GraphDict) -> dict[str, CreatedDataset]:
        import tensorflow as tf

        nodes = {node["id"]: node for node in written["nodes"]}
        todo = [(self._in_function(node["id"]), node) for node in written["nodes"]]
        if written["root"] in nodes:
            todo.append((self._creation_of(tf.data.experimental.to_variant(dataset)), nodes[written["root"]]))
        found: dict[str, CreatedDataset] = {}
        while todo:
            made, node = todo.pop()
            if made is not None and made.op != node["op"] and len(made.reads) == 1:
                # A dataset that only rewrites another one is not in the graph.
                made = made.reads[0] if made.reads[0] and made.reads[0].op == node["op"] else made
            if made is None or node["id"] in found or (made.name is not None and made.name != node["key"]):
                continue
            found[node["id"]] = made
            below = [nodes[name] for name in node["inputs"]]
            if len(below) == 1 and made.op == below[0]["op"] != node["op"]:
                # One op creates both: elements of a tf.data service pass through a map that unpacks them.
                todo.append((made, below[0]))
                continue
            # Captured datasets belong to the datasets of the function that read them.
            reads = made.reads[: len(below)] if node["bodies"] else made.reads
            todo.extend(zip(_align_reads(reads, len(below)), below, strict=True))
        return found

    def _note(self, variant: Any, made: CreatedDataset) -> None:
        graph = _graph_of(variant)
        if graph is not None:
            self._traced[self._number(graph), variant.name] = made
        else:
            # A weak reference: memory that the user frees must be freed.
            self._eager[id(variant)] = (weakref.ref(variant), made)

    def _creation_of(self, variant: Any) -> CreatedDataset | None:
        """Return the creation of the dataset behind this tensor; None if unknown."""
        graph = _graph_of(variant)
        if graph is None:
            reference, made = self._eager.get(id(variant), (None, None))
            return made if reference is not None and reference() is variant else None
        while variant.op.type == "Identity":
            variant = variant.op.inputs[0]
        return self._traced.get((self._number(graph), variant.name))

    def _in_function(self, identity: str) -> CreatedDataset | None:
        """Return the dataset that a function makes, by the function's name and the op's."""
        owner, _, local = identity.rpartition("::")
        number = self._functions.get(owner.rpartition("::")[2]) if owner else None
        return self._traced.get((number, f"{local}:0")) if number is not None else None

    def _number(self, graph: Any) -> int:
        """Return a number for a graph that is never reused, even after the graph is deleted."""
        return self._graphs.setdefault(graph, next(self._numbers))

    def _spots(self, frame: FrameType, variant: Any) -> list[Spot]:
        """Return the user's frames that led to the op that made a tensor, innermost first."""
        frames = [type_ for type_ in callers(frame) if self._is_own_file(type_.f_code.co_filename)]
        written = self._written_spots(frames, variant)
        return [spot for spot in written if spot is not None][:_MOST_CALLERS]

    def _traced_spots(self, operation: Any) -> list[Spot]:
        """Return the user's frames as TensorFlow keeps them for an op: innermost first, AutoGraph's mapped back."""
        frames = [entry for entry in reversed(list(operation.traceback)) if self.own(entry.filename)]
        return [Spot(entry.filename, entry.lineno, entry.name) for entry in frames[:_MOST_CALLERS]]

    def _is_own_file(self, file: str) -> bool:
        return is_generated(file) or self.own(file)

    def _written_spots(self, frames: Sequence[FrameType], variant: Any) -> list[Spot | None]:
        """Return each frame's place in the user's source; None for AutoGraph code without a known origin.

        TensorFlow keeps the stack of each op's creation, with the origins of AutoGraph's lines.
        """
        known = [None if is_generated(type_.f_code.co_filename) else _spot(type_) for type_ in frames]
        if None not in known or _graph_of(variant) is None:
            return known
        told = [one for one in reversed(list(variant.op.traceback)) if self._is_own_file(one.filename)]
        same = len(told) == len(known) and all(
            at is None or (at.file, at.line) == (one.filename, one.lineno) for at, one in zip(known, told, strict=True)
        )
        if not same:
            return known
        return [
            at or (None if is_generated(one.filename) else _converted_spot(one.filename, one.lineno, one.name))
            for at, one in zip(known, told, strict=True)
        ]


def _spot(frame: FrameType) -> Spot:
    return Spot(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, _call_end(frame))


def _graph_of(variant: Any) -> Any | None:
    """Return the graph that is being traced where the tensor is a part of one."""
    import tensorflow as tf

    return variant.graph if tf.is_symbolic_tensor(variant) else None


def _around(graph: Any) -> Iterator[Any]:
    """Yield a graph and those in whose tracing it was made, innermost first."""
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)


def _align_reads(reads: Sequence[CreatedDataset | None], count: int) -> Sequence[CreatedDataset | None]:
    """Return the creations of the ``count`` datasets that one reads in the graph; None for unknown ones.

    Lists of tensors have the same type: where the counts differ, all are unknown.
    """
    known = [dataset for dataset in reads if dataset is not None]
    return reads if len(reads) == count else known if len(known) == count else [None] * count


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _converted_spot(file: str, line: int, function: str) -> Spot:
    """Return the place of AutoGraph's code; AutoGraph gives the line of a lambda's end, and no name."""
    if function:
        return Spot(file, line, function)
    starts = [start for start, end in _lambdas(file) if start <= line <= end]
    return Spot(file, min(starts, default=line), "<lambda>")


def _call_end(frame: FrameType) -> tuple[int, int] | None:
    """Return line and UTF-8 offset where the frame's current call ends; None on Python 3.10."""
    positions = getattr(frame.f_code, "co_positions", None)
    if positions is None:
        return None
    _, line, _, column = next(islice(positions(), frame.f_lasti // 2, None), (None,) * 4)
    return (line, column) if line is not None and column is not None else None


def place_of(made: CreatedDataset) -> PlaceDict | None:
    """Return where in the user's files a dataset was made; None where that is unknown."""
    if not made.spots:
        return None
    inner = made.spots[0]
    outer = [one for before, one in pairwise(made.spots) if (one.file, one.line) != (before.file, before.line)]
    line, column, call = _name_of_call(inner)
    callers: list[CallerDict] = [{"file": spot.file, "line": spot.line, "function": spot.function} for spot in outer]
    return {
        "file": inner.file,
        "line": line,
        "column": column,
        "call": call,
        "function": inner.function,
        "callers": callers,
        "given": made.given,
        "library": _library(made.library) if made.library is not None else None,
    }


def _library(spot: Spot) -> CallerDict:
    return {"file": file_in_library(spot.file), "line": spot.line, "function": spot.function}


def _name_of_call(spot: Spot) -> tuple[int, int | None, str | None]:
    """Return line and column, both from 1, of the called method's name (``batch`` in a chain), and the name.

    For ``apply``, use the name of its argument.
    """
    call = _calls(spot.file).get(spot.end) if spot.end is not None else None
    return call if call is not None else (spot.line, None, None)


@lru_cache(maxsize=64)
def _calls(file: str) -> dict[tuple[int, int] | None, tuple[int, int, str | None]]:
    """Return where the name of a called function or method stands, and the name, by the end of the call."""
    text, tree = _parse_file(file)
    lines = text.splitlines()
    found: dict[tuple[int, int] | None, tuple[int, int, str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.end_lineno is not None and node.end_col_offset is not None:
            name = node.func
            line, offset = name.lineno, name.col_offset
            if isinstance(name, ast.Attribute) and name.end_lineno is not None and name.end_col_offset is not None:
                line, offset = name.end_lineno, name.end_col_offset - len(name.attr.encode())
            column = len(lines[line - 1][:offset].decode("utf-8", "replace")) + 1
            found[node.end_lineno, node.end_col_offset] = (line, column, _called_name(node))
    return found


def _called_name(call: ast.Call) -> str | None:
    name = _last_name(call.func)
    if name == "apply" and call.args:
        given = call.args[0]
        return _last_name(given.func if isinstance(given, ast.Call) else given) or name
    return name


def _last_name(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None


@lru_cache(maxsize=64)
def _lambdas(file: str) -> list[tuple[int, int]]:
    """Return first and last lines of a file's lambdas."""
    found = [node for node in ast.walk(_parse_file(file)[1]) if isinstance(node, ast.Lambda)]
    return [(node.lineno, node.end_lineno or node.lineno) for node in found]


def _parse_file(file: str) -> tuple[bytes, ast.Module]:
    """Read a file and its syntax tree; both empty where it cannot be read."""
    try:
        text = read_source(Path(file))
        return text, ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return b"", ast.Module([], [])
