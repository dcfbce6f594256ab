"""Static view of a spec for the rules, without TensorFlow and without running anything."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.inference.calls import call_result, inputs_of
from pipeprof.pipelines.inference.errors import Refused
from pipeprof.pipelines.inference.known_files import KnownFiles
from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.rules.base import ArrayLookup
from pipeprof.pipelines.inference.sources import ElementInfo
from pipeprof.pipelines.inference.tensor.shapes import Structure, Tensor, literal
from pipeprof.pipelines.ops.calls.base import special_calls
from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.constants import WIDTHS
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.ops.values.features import FeatureSpec
from pipeprof.pipelines.ops.values.structures import ARRAYS, Array, ShapeOf
from pipeprof.pipelines.ops.values.structures import Structure as WrittenStructure
from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.spec.models import Placed
from pipeprof.pipelines.tables import read_table
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.view import ComponentView, FunctionView, PipelineView, StageView

_RESIZERS = {
    "area": "ResizeArea",
    "bicubic": "ResizeBicubic",
    "bilinear": "ResizeBilinear",
    "nearest": "ResizeNearestNeighbor",
}
_SCALER = "ScaleAndTranslate"
_STATEFUL = frozenset(
    {
        "Multinomial", "ParameterizedTruncatedNormal", "RandomGamma", "RandomPoissonV2", "RandomShuffle",
        "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "SampleDistortedBoundingBoxV2", "TruncatedNormal",
    }
)  # fmt: skip
"""Ops that draw random numbers. Assertions have state as well, but TensorFlow makes maps with them parallel."""


@functools.cache
def recorded_types() -> Mapping[str, str]:
    """Op types by function, separated by blanks, as TensorFlow 2.21 traced them on dense float inputs.

    ``op_types.json`` has a line only if a rule or a prediction needs more than a function's name shows:
    ``tf.io.read_file`` is ``ReadFile``. A test traces it again.
    """
    rows: dict[str, str] = read_table("pipeprof.profiles.view", "op_types")
    return rows


def op_types(name: str, arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return the op types of a call.

    Example:
        >>> sorted(op_types("tf.io.read_file", {})), sorted(op_types("tf.image.adjust_brightness", {}))
        (['ReadFile'], ['AddV2'])
    """
    own = "".join(part.capitalize() for part in name.rpartition(".")[2].split("_"))
    found = set(recorded_types().get(name, own).split())
    if "ResizeBilinear" in found:
        found.remove("ResizeBilinear")
        found.add(_RESIZERS.get(str(arguments.get("method", "bilinear")), _SCALER))
    if "features" in arguments and not _has_defaults(arguments["features"]):
        # Only default values are reshaped.
        found.discard("Reshape")
    if name == "tf.random.uniform" and str(arguments.get("dtype", "float32")).startswith(("int", "uint")):
        return frozenset({"RandomUniformInt"})
    if name == "tf.io.decode_raw" and arguments.get("fixed_length") is not None:
        return frozenset({"DecodePaddedRaw"})
    return frozenset(found)


def _has_defaults(features: Any) -> bool:
    """Return whether one of the features that a record is parsed to has a default value."""
    given = features.values() if isinstance(features, Mapping) else ()
    return any(
        argument.arguments.get("default_value") is not None for argument in given if isinstance(argument, FeatureSpec)
    )


def random_op(types: frozenset[str]) -> str | None:
    """Return the op that draws random numbers, which keeps TensorFlow from making a map parallel."""
    return min(types & _STATEFUL, default=None)


NOTHING = FunctionView(
    ops=frozenset(), python=False, random=False, constant_bytes=0, elementwise=False, reads=None, writes=None
)
GENERATOR = FunctionView(ops=frozenset({"PyFunc"}), stateful_op="PyFunc", python=True, constant_bytes=0)
_WHOLE = ""
"""Key of a whole element."""
_CONTROL = {
    "for_each": "RandomUniformInt",
    "random_order": "Case RandomShuffle",
    "tf.cond": "If",
    "tf.map_fn": "While",
    "tf.ragged.map_flat_values": "",
    "tf.switch_case": "Case",
}
"""Op types of calls with chains inside, in addition to those of the chains."""
_PYTHON = {"tf.numpy_function": "PyFunc", "tf.py_function": "EagerPyFunc"}
_ELEMENTWISE_PREFIXES = ("tf.bitwise.",)
_ELEMENTWISE = frozenset(
    {
        "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "conj", "cos", "cosh",
        "digamma", "divide", "divide_no_nan", "equal", "erf", "exp", "expm1", "floor", "floordiv", "floormod",
        "greater", "greater_equal", "is_finite", "is_inf", "is_nan", "less", "less_equal", "lgamma", "log", "log1p",
        "log_sigmoid", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "mod",
        "multiply", "multiply_no_nan", "negative", "not_equal", "pow", "reciprocal", "rint", "round", "rsqrt",
        "sigmoid", "sign", "sin", "sinh", "softplus", "softsign", "sqrt", "square", "squared_difference", "subtract",
        "tan", "tanh", "truediv", "xdivy", "xlogy",
    }
)  # fmt: skip
_ELEMENTWISE_OTHERS = frozenset(
    {
        "tf.cast", "tf.clip_by_value", "tf.identity", "tf.image.convert_image_dtype", "tf.nn.relu", "tf.nn.sigmoid",
        "tf.ones_like", "tf.saturate_cast", "tf.stop_gradient", "tf.strings.as_string", "tf.strings.length",
        "tf.strings.lower", "tf.strings.strip", "tf.strings.to_hash_bucket_fast", "tf.strings.to_number",
        "tf.strings.upper", "tf.zeros_like",
    }
)  # fmt: skip


class FunctionViewBuilder:
    """Builder of the views of chains of calls."""

    def __init__(self, arrays: ArrayLookup) -> None:
        self._arrays = arrays

    def view(self, calls: Sequence[OpCall] | None, element: Structure, *, answers: bool) -> FunctionView:
        """Build the view of a chain of calls.

        Args:
            calls: The chain; ``None`` for a function in a Python file.
            answers: Whether the last call gives an answer, such as a truth value or a key.
        """
        if calls is None:
            return FunctionView()
        ops: frozenset[str] | None = frozenset()
        reads: set[str] = set()
        writes: set[str] = set()
        elementwise: bool | None = True
        constants = 0
        for index, call in enumerate(calls):
            alone = answers and index == len(calls) - 1
            types = _types(call)
            ops = None if ops is None or types is None else ops | types
            constants += self._constants(call)
            # A field written by an earlier call is not read from the input.
            reads |= {key for key in _read_keys(call) if _WHOLE not in writes and key not in writes}
            of_call = self._is_elementwise(call, element)
            elementwise = False if of_call is False else None if of_call is None and elementwise else elementwise
            writes |= _written_keys(call, alone=alone)
            element = call_result(call, element, self._arrays, strict=False, whole=alone)
        stateful = None if ops is None else random_op(ops) or next(iter(sorted(ops & set(_PYTHON.values()))), None)
        return FunctionView(
            ops=ops,
            stateful_op=stateful,
            python=None if ops is None else not ops.isdisjoint(_PYTHON.values()),
            random=None if ops is None else random_op(ops) is not None,
            constant_bytes=constants,
            elementwise=elementwise,
            reads=frozenset(reads),
            writes=frozenset() if answers else frozenset(writes),
        )

    def _constants(self, call: OpCall) -> int:
        own = sum(map(self._bytes, _arrays_in(call.arguments)))
        return own + sum(self._constants(inner) for chain in call.chains.values() for inner in chain)

    def _bytes(self, described: Array) -> int:
        tensor = self._arrays(described)
        return 0 if tensor is None or tensor.size is None else tensor.size * WIDTHS.get(tensor.dtype, 0)

    def _is_elementwise(self, call: OpCall, element: Structure) -> bool | None:
        """Return whether a call is equal on a batch: a leading dimension must not change broadcasting."""
        if _rearranges(call):
            return True
        family, _, name = call.name.rpartition(".")
        simple = family in ("tf", "tf.math") and name in _ELEMENTWISE
        if not simple and call.name not in _ELEMENTWISE_OTHERS and not call.name.startswith(_ELEMENTWISE_PREFIXES):
            return False
        given = _call_input(call, element)
        if not given:
            return None if given is None else False
        constants = [
            self._arrays(value) if isinstance(value, ARRAYS) else literal(value)
            for key, value in call.arguments.items()
            if key not in ("dtype", "out_type", "name")
        ]
        largest = max((constant.rank or 0 for constant in constants if constant is not None), default=0)
        if len(given) == 1 and largest == 0:
            return True
        ranks = {argument.rank if isinstance(argument, Tensor) else None for argument in given}
        if None in ranks:
            return None
        return len(ranks) == 1 and all(rank is not None and largest <= rank for rank in ranks)


def _rearranges(call: OpCall) -> bool:
    """Return whether a call only moves fields."""
    special = special_calls().get(call.name)
    return special is not None and special.family == "structure" and call.name != "getitem"


def _call_input(call: OpCall, element: Structure) -> list[Structure] | None:
    """Return the input of a call; ``None`` if the element lacks it."""
    try:
        return inputs_of(call, element)
    except Refused:
        return None


def _types(call: OpCall) -> frozenset[str] | None:
    """Return op types of a call and of those inside it; ``None`` if they cannot be known."""
    special = special_calls().get(call.name)
    if special is None:
        return None if call.name.startswith("tf.keras.") else op_types(call.name, call.arguments)
    if special.family == "structure":
        return frozenset() if _rearranges(call) else frozenset({"StridedSlice"})
    if call.name in _PYTHON:
        return frozenset({_PYTHON[call.name]})
    if call.name not in _CONTROL:
        return None
    found = set(_CONTROL[call.name].split())
    if special.draws(call):
        found.add("RandomUniform")
    for chain in call.chains.values():
        for inner in chain:
            types = _types(inner)
            if types is None:
                return None
            found |= types
    return frozenset(found)


def _read_keys(call: OpCall) -> set[str]:
    """Return keys of the fields that a call takes in."""
    fields = call.read()
    if fields is not None:
        return {str(field) for field in fields}
    return {_WHOLE} if call.inputs() or call.name in special_calls() else set()


def _written_keys(call: OpCall, *, alone: bool) -> set[str]:
    """Return keys of the fields that a call changes."""
    target = call.to if alone else call.target
    if isinstance(target, tuple):
        return {str(field) for field in target}
    return {_WHOLE if target is None else str(target)}


def _arrays_in(value: Any) -> Iterator[Array]:
    if isinstance(value, ARRAYS):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _arrays_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _arrays_in(inner)


_TENSORS = ("tensors", "args")


def view_of_spec(
    loaded: LoadedSpec, *, cores: float | None = None, memory_limit_bytes: int | None = None
) -> PipelineView:
    """Build the static view of a spec, for the cores of this process if none are given."""
    elements = element_specs(loaded.spec, loaded.base_dir)
    builder = _ViewFromSpec(loaded, elements)
    return PipelineView(
        kind="static",
        stages=tuple(builder.stage(placed) for placed in loaded.spec.placed()),
        options=dict(_flat(loaded.spec.options.written())),
        cores=cores if cores is not None else _cores(),
        memory_limit_bytes=memory_limit_bytes,
        unseen=True,
    )


def _cores() -> float:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


class _ViewFromSpec:
    def __init__(self, loaded: LoadedSpec, elements: Mapping[str, ElementInfo]) -> None:
        self._loaded = loaded
        self._elements = elements
        self._functions = FunctionViewBuilder(KnownFiles(loaded.base_dir, loaded.spec.data).array)
        self._links: dict[str, _Link] = {}
        _find_links(loaded.spec, "", None, self._links)

    def stage(self, placed: Placed) -> StageView:
        """Return the view of one source or stage."""
        link = self._links[placed.address]
        info = self._elements.get(placed.address)
        in_memory = traits(placed.op.op).in_memory
        return StageView(
            id=placed.address,
            op=placed.op.op,
            name=placed.name,
            inputs=link.inputs,
            depth=placed.address.count("source") + placed.address.count("stages") - 1,
            owner=link.owner,
            arguments=_arguments(placed),
            element=tuple(map(_component, info.components)) if info and info.components is not None else None,
            elements=info.cardinality if info is not None else None,
            function=self._function(placed, link),
            source_bytes=info.source_bytes if info is not None and in_memory else None,
            constant=(link.owner is not None and bool(info and info.source_bytes)) if in_memory else None,
            location=self._location(placed.address),
        )

    def _location(self, address: str) -> Location | None:
        at = self._loaded.locate(address)
        return Location(file=at.file, line=at.line, column=at.column) if at is not None and at.line else None

    def _function(self, placed: Placed, link: _Link) -> FunctionView | None:
        op, row = placed.op, traits(placed.op.op)
        if row.python_iterator:
            return GENERATOR
        if any(inner.per_element for inner in op.pipelines()) and row.opens:
            return NOTHING
        if row.opens or op.op == "apply":
            return FunctionView()
        if row.function is None:
            return None
        function = getattr(op, "function" if row.computes else row.function)
        info = self._elements.get(link.inputs[0]) if link.inputs else None
        element = info.structure if info is not None else None
        if row.carries_state:
            element = (None, element)
        return self._functions.view(function.ops, element, answers=row.predicate or not row.computes)


@dataclass(frozen=True)
class _Link:
    """Links of a source or stage: its inputs, and the owner of its function."""

    inputs: tuple[str, ...]
    owner: str | None


def _find_links(pipeline: Any, address: str, owner: str | None, found: dict[str, _Link]) -> str | None:
    """Record the links of a pipeline; return the address of its last stage."""
    last: str | None = None
    steps: list[tuple[tuple[str | int, ...], Any]] = []
    if pipeline.source is not None:
        steps.append((("source",), pipeline.source))
    steps += [(("stages", index), stage) for index, stage in enumerate(pipeline.stages or [])]
    for step, op in steps:
        here = join(address, *step)
        inputs = [] if last is None else [last]
        for inner in op.pipelines():
            inside = here if inner.per_element else owner
            end = _find_links(inner.pipeline, join(here, *inner.below), inside, found)
            if not inner.per_element and end is not None:
                inputs.append(end)
        found[here] = _Link(tuple(inputs), owner)
        last = here
    return last


def _component(tensor: Tensor) -> ComponentView:
    if tensor.kind != "dense":
        # As in a graph: sparse and ragged tensors travel between stages as variants.
        return ComponentView("variant", None)
    return ComponentView(tensor.dtype, tensor.shape, tensor.content.mean_bytes if tensor.content is not None else None)


def _arguments(placed: Placed) -> dict[str, object]:
    """Return the arguments by TensorFlow's names; tensors are left out, their bytes and shapes are separate fields."""
    op: Any = placed.op
    given = op.written()
    if op.op == "range":
        given |= {"start": op.start, "stop": op.stop, "step": op.step}
    if traits(op.op).names_files:
        given["file_pattern"] = op.file_pattern
    plain = {name: _plain(value) for name, value in given.items() if name not in _TENSORS}
    return {name: value for name, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    """Convert a value to plain data; ``None`` if it has none."""
    if isinstance(value, FilePatterns):
        return list(value.patterns) if value.listed else value.patterns[0]
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, WrittenStructure):
        return _shapes(value.value)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None


def _shapes(value: Any) -> Any:
    """Padded shapes and other small structures as data."""
    if isinstance(value, ShapeOf):
        return None if value.dimensions is None else list(value.dimensions)
    if isinstance(value, dict):
        return {key: _shapes(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_shapes(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str) else None
