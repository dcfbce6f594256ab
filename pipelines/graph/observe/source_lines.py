"""Source lines of datasets in the user's files, observed at creation and joined with the written graph later.

A `BuildHook` reports each return of a TensorFlow op that creates a dataset, and the stack shows its caller. The tensor
that it returned is the link to the graph. Nothing is joined by its kind or by its order in time: what cannot be joined
gets no line rather than a guessed one.
"""

from __future__ import annotations

import ast
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, islice, pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from pipeprof.pipelines.graph.observe.build_hook import callers, file_in_library, given_function, library_frames
from pipeprof.pipelines.graph.observe.created import (
    CreatedDataset,
    Facts,
    Spot,
    captured,
    datasets_of,
    is_variant,
    kept,
    nbytes,
    shape_of,
)
from pipeprof.pipelines.graph.observe.without_arrays import (
    NOTED_FROM,
    ObservedConstant,
    SmallCopy,
    constant_size,
    copy_without_arrays,
    without_constants,
)
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.graph.read.graphdef import metadata_name
from pipeprof.pipelines.graph.read.records import CallerDict, ConstantDict, GraphDict, MadeDict, PlaceDict
from pipeprof.pipelines.graph.stages import UNPACKS
from pipeprof.pipelines.meaning.executed_ops import written_op
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.target.user_files import is_generated, is_users, read_source

_MOST_CALLERS = 8
_MOST_RECORDS = 100_000


@dataclass
class Lines:
    """Recorder of datasets at their creation."""

    own: Callable[[str], bool] = is_users
    python: dict[str, Spot] = field(default_factory=dict)
    constants: list[ObservedConstant] = field(default_factory=list)
    sources: list[MadeDict] = field(default_factory=list)
    alike: CreatedDataset | None = None
    """How a dataset of the same ops was made, for one whose own creation was not observed."""
    _eager: dict[int, tuple[weakref.ref[Any], CreatedDataset]] = field(default_factory=dict)
    _traced: dict[tuple[int, str], CreatedDataset] = field(default_factory=dict)
    _graphs: weakref.WeakKeyDictionary[Any, int] = field(default_factory=weakref.WeakKeyDictionary)
    _functions: dict[str, int] = field(default_factory=dict)
    _copies: dict[CreatedDataset, SmallCopy | None] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def made(self, op: str, frame: FrameType, variant: Any) -> None:
        """Record that the dataset op ``op`` returned the tensor ``variant``; ``frame`` is the op's."""
        import tensorflow as tf

        if not isinstance(variant, tf.Tensor) or len(self._eager) + len(self._traced) >= _MOST_RECORDS:
            return
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        arguments = {name: frame.f_locals.get(name) for name in names}
        metadata = arguments.get("metadata")
        reads: list[CreatedDataset | None] = []
        inputs: list[CreatedDataset | None] = []
        functions: list[Any] = []
        for name, value in arguments.items():
            for argument in value if isinstance(value, (list, tuple)) else (value,):
                if is_variant(argument):
                    reads.append(self.created_as(argument))
                    # The element of a function around it is a dataset that was not made anywhere.
                    if "dataset" in name and (reads[-1] is not None or not tf.is_symbolic_tensor(argument)):
                        inputs.append(reads[-1])
                elif isinstance(argument, tf.types.experimental.ConcreteFunction):
                    function: Any = argument
                    functions.append(function)
                    self._functions[_text(function.name)] = self._number(function.graph)
        bodies = [body for function in functions if (body := self.created_in(function)) is not None]
        tensorflow = str(Path(tf.__file__).parent)
        called, library = library_frames(frame, tensorflow, self.own)
        method = written_op(op)
        row = traits(method)
        spots = self._spots(frame, variant)
        # The copy without arrays calls the op itself.
        if row.in_memory and called is not frame:
            self.sources.append(_source(method, arguments, spots, traced=tf.is_symbolic_tensor(variant)))
        made = CreatedDataset(
            op,
            tuple(spots),
            metadata_name(metadata) if isinstance(metadata, bytes) else None,
            tuple(reads),
            None if tf.is_symbolic_tensor(variant) else {name: kept(value) for name, value in arguments.items()},
            tuple(self._number(function.graph) for function in functions),
            given_function(called, library, tensorflow) if row.single_function else None,
            _spot(library) if library is not None else None,
            tuple(inputs),
            tuple(bodies),
            weakref.ref(functions[0]) if functions else None,
            _facts(arguments, functions),
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
        tensor = operation.outputs[0]
        # TensorFlow keeps the user's frames of an op, AutoGraph's mapped back.
        kept_frames = [entry for entry in reversed(list(operation.traceback)) if self.own(entry.filename)]
        traced = [Spot(entry.filename, entry.lineno, entry.name) for entry in kept_frames[:_MOST_CALLERS]]
        spots = self._spots(frame, tensor)
        if traced and (not spots or spots[0].file != traced[0].file):
            # A function that pipeprof's builder of specs calls: AutoGraph converted the frames of both.
            spots = traced
        self.constants.append(
            ObservedConstant(
                nbytes,
                tensor.dtype.name,
                tuple(tensor.shape.as_list()),
                tuple(self._number(graph) for graph in _enclosing_graphs(operation.graph)),
                spots[0] if spots else None,
            )
        )

    def returned(self, frame: FrameType, result: Any) -> None:
        """Record that a traced function's method returned: its datasets may have come out as other tensors."""
        import tensorflow as tf

        function: Any = frame.f_locals.get(frame.f_code.co_varnames[0]) if frame.f_code.co_argcount else None
        if not isinstance(function, tf.types.experimental.ConcreteFunction):
            return
        outside = [tensor for tensor in tf.nest.flatten(result, expand_composites=True) if is_variant(tensor)]
        inside = [output for output in function.outputs if is_variant(output)] if outside else []
        if len(outside) != len(inside) or any(_graph_of(tensor) is function.graph for tensor in outside):
            return
        for tensor, origin in zip(outside, inside, strict=True):
            if (made := self.created_as(origin)) is not None:
                self._note(tensor, made)

    def places(self, dataset: Any, written: GraphDict) -> dict[str, PlaceDict]:
        """Return the places of the datasets of ``written``, the graph of ``dataset``, by their ids."""
        joined = self._join_datasets(dataset, written)
        numbers = {made: number for number, made in enumerate(joined.values())}
        return {name: {**place, "made": numbers[joined[name]]} for name, place in places_of(joined).items()}

    def created(self, dataset: Any) -> CreatedDataset | None:
        """Return how a dataset was made."""
        import tensorflow as tf

        return self.created_as(tf.data.experimental.to_variant(dataset))

    def unread(self) -> list[CreatedDataset]:
        """Return how the datasets were made that exist and that no other one reads."""
        made = [record for reference, record in list(self._eager.values()) if reference() is not None]
        known = [record for _, record in list(self._eager.values())] + list(self._traced.values())
        read = {id(source) for record in known for source in record.reads if source is not None}
        return [record for record in made if id(record) not in read]

    def created_in(self, function: Any) -> CreatedDataset | None:
        """Return how the dataset was made that a traced function returns; None where it returns none."""
        outputs = [output for output in function.outputs if is_variant(output)]
        return self.created_as(outputs[0]) if len(outputs) == 1 else None

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
        made = self.created(dataset)
        large = [one for below in datasets_of(made) for one in captured(below)] if made is not None else []
        return sum(constant.nbytes for constant in self.constants) + sum(nbytes(one.spec) for one in large)

    def without_arrays(self, dataset: Any) -> tuple[Any, int] | None:
        """Copy ``dataset`` without its large arrays; return it with the bytes saved, or None. Then `set_sources`."""
        import tensorflow as tf

        made = self.created(dataset)
        if made is None:
            return None
        if made not in self._copies:
            self._copies[made] = copy_without_arrays(made, self._without_constants)
        if (copy := self._copies[made]) is None:
            return None
        for original, variant in copy.variants.items():
            self._note(variant, original)
        return tf.data.experimental.from_variant(copy.variants[made], dataset.element_spec), copy.saved

    def set_sources(self, dataset: Any, written: GraphDict, executed: GraphDict) -> None:
        """Set the bytes of the real sources in the graphs of what `without_arrays` made."""
        keys = {node["id"]: node["key"] for node in written["nodes"]}
        joined = self._join_datasets(dataset, written)
        left_out = {made: size for copy in self._copies.values() if copy for made, size in copy.left_out.items()}
        held = {keys[identity]: left_out[made] for identity, made in joined.items() if made in left_out}
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
        nodes = {node["id"]: node for node in written["nodes"]}
        todo = [(self._in_function(node["id"]), node) for node in written["nodes"]]
        own = self.created(dataset)
        if written["root"] in nodes:
            todo.append((own or self.alike, nodes[written["root"]]))
        joined: dict[str, CreatedDataset] = {}
        while todo:
            made, node = todo.pop()
            if made is not None and made.op != node["op"] and len(made.reads) == 1:
                # A dataset that only rewrites another one is not in the graph.
                made = made.reads[0] if made.reads[0] and made.reads[0].op == node["op"] else made
            if made is None or node["id"] in joined or (made.name is not None and made.name != node["key"]):
                continue
            joined[node["id"]] = made
            inputs = [nodes[name] for name in node["inputs"]]
            if len(inputs) == 1 and made.op == inputs[0]["op"] != node["op"]:
                # One op creates both: elements of a tf.data service pass through a map that unpacks them.
                todo.append((made, inputs[0]))
                continue
            # Captured datasets belong to the datasets of the function that read them.
            reads = made.reads[: len(inputs)] if node["bodies"] else made.reads
            todo.extend(zip(_align_reads(reads, len(inputs)), inputs, strict=True))
        borrowed = own is None and self.alike is not None
        if borrowed and any(made.op != nodes[identity]["op"] for identity, made in joined.items()):
            return {}
        return joined

    def _note(self, variant: Any, made: CreatedDataset) -> None:
        graph = _graph_of(variant)
        if graph is not None:
            self._traced[self._number(graph), variant.name] = made
        else:
            # A weak reference: memory that the user frees must be freed.
            self._eager[id(variant)] = (weakref.ref(variant), made)

    def created_as(self, variant: Any) -> CreatedDataset | None:
        """Return how the dataset behind this tensor was made; None if unknown."""
        graph = _graph_of(variant)
        if graph is None:
            reference, made = self._eager.get(id(variant), (None, None))
            return made if reference is not None and reference() is variant else None
        while variant.op.type == "Identity":
            variant = variant.op.inputs[0]
        if variant.op.type == "Placeholder":
            outside = next((one for one, inside in getattr(graph, "captures", ()) if inside is variant), None)
            return self.created_as(outside) if outside is not None else None
        return self._traced.get((self._number(graph), variant.name))

    def _in_function(self, identity: str) -> CreatedDataset | None:
        owner, _, local = identity.rpartition("::")
        number = self._functions.get(owner.rpartition("::")[2]) if owner else None
        return self._traced.get((number, f"{local}:0")) if number is not None else None

    def _number(self, graph: Any) -> int:
        """Return a number for a graph that is never reused, even after the graph is deleted."""
        return self._graphs.setdefault(graph, next(self._numbers))

    def _spots(self, frame: FrameType, variant: Any) -> list[Spot]:
        own_frames = [caller for caller in callers(frame) if self._is_own_file(caller.f_code.co_filename)]
        return [spot for spot in self._written_spots(own_frames, variant) if spot is not None][:_MOST_CALLERS]

    def _is_own_file(self, file: str) -> bool:
        return is_generated(file) or self.own(file)

    def _written_spots(self, frames: Sequence[FrameType], variant: Any) -> list[Spot | None]:
        """Return each frame's place in the user's source, of AutoGraph's code by the stack that TensorFlow keeps."""
        known = [None if is_generated(frame.f_code.co_filename) else _spot(frame) for frame in frames]
        if None not in known or _graph_of(variant) is None:
            return known
        entries = [entry for entry in reversed(list(variant.op.traceback)) if self._is_own_file(entry.filename)]
        same = len(entries) == len(known) and all(
            spot is None or (spot.file, spot.line) == (entry.filename, entry.lineno)
            for spot, entry in zip(known, entries, strict=True)
        )
        if not same:
            return known
        return [
            spot or _converted_spot(entry.filename, entry.lineno, entry.name)
            for spot, entry in zip(known, entries, strict=True)
        ]


def _source(method: str, arguments: Mapping[str, Any], spots: Sequence[Spot], *, traced: bool) -> MadeDict:
    """Note a source in memory; its rows are those of its first tensor.

    Do not read the dataset's cardinality instead: reading a tensor's value makes TensorFlow free arrays that it would
    have kept while the pipeline starts, and the peak would be lower than without pipeprof.
    """
    import tensorflow as tf

    components = arguments["components"]
    rows = components[0].shape[0] if traits(method).slices else 1
    return {
        "method": method,
        "types": [component.dtype.name for component in components],
        "shapes": [shape_of(tf.TensorShape(shape)) for shape in arguments["output_shapes"]],
        "elements": None if traced else rows,
        "traced": traced,
        "file": spots[0].file if spots else None,
        "line": spots[0].line if spots else None,
    }


def _facts(arguments: Mapping[str, Any], functions: Sequence[Any]) -> Facts:
    import tensorflow as tf

    def number(name: str) -> Any:
        """A number, or the tensor of it that is not read yet: that makes TensorFlow free arrays."""
        value: Any = arguments.get(name)
        if not tf.is_symbolic_tensor(value):
            return value
        # A seed is chosen between itself and another number, where both are 0.
        known = tf.get_static_value(value.op.inputs[2] if value.op.type == "SelectV2" else value)
        return known.item() if known is not None else None

    seeds = number("seed"), number("seed2")
    ops = {operation.type for one in functions for operation in one.graph.get_operations()}
    return Facts(
        functions=tuple(_text(function.name) for function in functions),
        stop=number("stop"),
        files=bool(arguments.get("is_files")),
        unpacks=UNPACKS in ops,
        python=not ops.isdisjoint(PYTHON),
        seeds=None if any(seed is None for seed in seeds) else seeds,
    )


def _spot(frame: FrameType) -> Spot:
    return Spot(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, _call_end(frame))


def _graph_of(variant: Any) -> Any | None:
    import tensorflow as tf

    return variant.graph if tf.is_symbolic_tensor(variant) else None


def _enclosing_graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and those in whose tracing it was made, innermost first."""
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)


def _align_reads(reads: Sequence[CreatedDataset | None], count: int) -> Sequence[CreatedDataset | None]:
    """Return the creations of the ``count`` datasets that one reads in the graph; all None where the counts differ."""
    known = [dataset for dataset in reads if dataset is not None]
    return reads if len(reads) == count else known if len(known) == count else [None] * count


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _converted_spot(file: str, line: int, function: str) -> Spot | None:
    """Return the place of AutoGraph's code; AutoGraph gives the line of a lambda's end, and no name."""
    if is_generated(file):
        return None
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
    outer = [spot for before, spot in pairwise(made.spots) if (spot.file, spot.line) != (before.file, before.line)]
    called = _calls(inner.file).get(inner.end) if inner.end is not None else None
    line, column, call = called or (inner.line, None, None)
    library = made.library
    return {
        "file": inner.file,
        "line": line,
        "column": column,
        "call": call,
        "function": inner.function,
        "callers": [_caller(spot, spot.file) for spot in outer],
        "given": made.given,
        "library": _caller(library, file_in_library(library.file)) if library is not None else None,
        "made": None,
    }


def places_of(created: Mapping[str, CreatedDataset]) -> dict[str, PlaceDict]:
    """Return where in the user's files datasets were made, of those where that is known."""
    return {name: place for name, made in created.items() if (place := place_of(made)) is not None}


def _caller(spot: Spot, file: str) -> CallerDict:
    return {"file": file, "line": spot.line, "function": spot.function}


@lru_cache(maxsize=64)
def _calls(file: str) -> dict[tuple[int, int] | None, tuple[int, int, str | None]]:
    """Return line and column, from 1, and name of each called method, by line and UTF-8 offset of the call's end.

    For ``apply``, it is the name of its argument.
    """
    text, tree = _parse_file(file)
    lines = text.splitlines()
    calls: dict[tuple[int, int] | None, tuple[int, int, str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.end_lineno is not None and node.end_col_offset is not None:
            name = node.func
            line, offset = name.lineno, name.col_offset
            if isinstance(name, ast.Attribute) and name.end_lineno is not None and name.end_col_offset is not None:
                line, offset = name.end_lineno, name.end_col_offset - len(name.attr.encode())
            column = len(lines[line - 1][:offset].decode("utf-8", "replace")) + 1
            calls[node.end_lineno, node.end_col_offset] = (line, column, _called_name(node))
    return calls


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
    nodes = ast.walk(_parse_file(file)[1])
    return [(node.lineno, node.end_lineno or node.lineno) for node in nodes if isinstance(node, ast.Lambda)]


def _parse_file(file: str) -> tuple[bytes, ast.Module]:
    try:
        text = read_source(Path(file))
        return text, ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return b"", ast.Module([], [])
