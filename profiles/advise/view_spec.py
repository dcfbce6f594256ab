"""From a spec to what rules look at, without running anything and without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.ops.element import ElementFunction, OpCall
from pipeprof.pipelines.ops.source_files import ListFiles
from pipeprof.pipelines.ops.source_tensors import FromGenerator, FromTensors, FromTensorSlices, Range
from pipeprof.pipelines.ops.stage_interleave import FlatMap, Interleave
from pipeprof.pipelines.ops.stage_map import Filter, Map
from pipeprof.pipelines.ops.structures import MadeArray, NpyArray, NpzArray, ShapeOf
from pipeprof.pipelines.ops.structures import Structure as WrittenStructure
from pipeprof.pipelines.ops.values import FilePatterns
from pipeprof.pipelines.spec.call_flow import call_result, inputs_of
from pipeprof.pipelines.spec.elements import ElementInfo, element_specs
from pipeprof.pipelines.spec.known_files import Files
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.models import Placed
from pipeprof.pipelines.spec.shape_rules import ArrayLookup
from pipeprof.pipelines.spec.shapes import WIDTHS, Structure, Tensor, literal
from pipeprof.profiles.advise.op_types import op_types, random_op
from pipeprof.profiles.advise.view import Component, FunctionView, PipelineView, StageView
from pipeprof.profiles.profile import Location

_NOTHING = FunctionView(
    ops=frozenset(), python=False, random=False, constant_bytes=0, elementwise=False, reads=None, writes=None
)
_GENERATOR = FunctionView(ops=frozenset({"PyFunc"}), stateful_op="PyFunc", python=True, constant_bytes=0)
_TENSORS = ("tensors", "args")
_WHOLE = ""
"""The key of a whole element."""
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


def view_of_spec(
    loaded: LoadedSpec, *, cores: float | None = None, memory_limit_bytes: int | None = None
) -> PipelineView:
    """The static view of a spec.

    Args:
        loaded: The spec.
        cores: Cores a run could use; those of this process if not given.
        memory_limit_bytes: Memory it could use.
    """
    elements = element_specs(loaded)
    builder = _Builder(loaded, elements)
    return PipelineView(
        kind="static",
        stages=tuple(builder.stage(placed) for placed in loaded.spec.placed()),
        options=dict(_flat(loaded.spec.options.written())),
        cores=cores if cores is not None else _cores(),
        memory_limit_bytes=memory_limit_bytes,
    )


def _cores() -> float:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


class _Builder:
    """Makes the views of single stages."""

    def __init__(self, loaded: LoadedSpec, elements: Mapping[str, ElementInfo]) -> None:
        self._loaded = loaded
        self._elements = elements
        self._arrays: ArrayLookup = Files(loaded.base_dir, loaded.spec.data).array

    def stage(self, placed: Placed) -> StageView:
        """The view of one source or stage."""
        below = _below(placed.address)
        owner = _owner(placed.address)
        info = self._elements.get(placed.address)
        in_memory = isinstance(placed.op, FromTensorSlices | FromTensors)
        return StageView(
            id=placed.address,
            op=placed.op.op,
            name=placed.name,
            inputs=(below,) if below is not None else (),
            depth=placed.address.count("source") + placed.address.count("stages") - 1,
            owner=owner,
            arguments=_arguments(placed),
            element=_components(info),
            elements=info.cardinality if info is not None else None,
            function=self._function(placed, below),
            source_bytes=info.source_bytes if info is not None and in_memory else None,
            constant=(owner is not None and bool(info and info.source_bytes)) if in_memory else None,
            location=self._location(placed.address),
        )

    def _location(self, address: str) -> Location | None:
        at = self._loaded.locate(address)
        return Location(file=at.file, line=at.line, column=at.column) if at is not None and at.line else None

    def _function(self, placed: Placed, below: str | None) -> FunctionView | None:
        op = placed.op
        if isinstance(op, FromGenerator):
            return _GENERATOR
        if isinstance(op, Interleave | FlatMap):
            return _NOTHING if op.function.source is not None else FunctionView()
        if not isinstance(op, Map | Filter):
            return None
        info = self._elements.get(below) if below is not None else None
        return self._of_calls(
            op.function, info.structure if info is not None else None, predicate=isinstance(op, Filter)
        )

    def _of_calls(self, function: ElementFunction, element: Structure, *, predicate: bool) -> FunctionView:
        """What the chain of calls of a ``map`` or ``filter`` does."""
        calls = function.ops
        if calls is None:
            return FunctionView()
        ops: set[str] = set()
        reads: set[str] = set()
        writes: set[str] = set()
        elementwise: bool | None = True
        constants = 0
        for index, call in enumerate(calls):
            answers = predicate and index == len(calls) - 1
            ops |= op_types(call.name, call.arguments)
            constants += sum(map(self._bytes, _arrays_in(call.arguments)))
            # What an earlier call has put there is not read from the input.
            reads |= {key for key in _read(call) if _WHOLE not in writes and key not in writes}
            elementwise = _both(elementwise, self._is_elementwise(call, element))
            target = call.to if answers else call.target
            writes.add(_WHOLE if target is None else str(target))
            element = call_result(call, element, self._arrays, strict=False, whole=answers)
        types = frozenset(ops)
        return FunctionView(
            ops=types,
            stateful_op=random_op(types),
            python=False,
            random=random_op(types) is not None,
            constant_bytes=constants,
            elementwise=elementwise,
            reads=frozenset(reads),
            writes=frozenset() if predicate else frozenset(writes),
        )

    def _bytes(self, described: NpyArray | NpzArray | MadeArray) -> int:
        tensor = self._arrays(described)
        return 0 if tensor is None or tensor.size is None else tensor.size * WIDTHS.get(tensor.dtype, 0)

    def _is_elementwise(self, call: OpCall, element: Structure) -> bool | None:
        """Whether a call means the same on a batch: a dimension in front must not change what is stretched to what."""
        family, _, name = call.name.rpartition(".")
        simple = family in ("tf", "tf.math") and name in _ELEMENTWISE
        if not simple and call.name not in _ELEMENTWISE_OTHERS and not call.name.startswith(_ELEMENTWISE_PREFIXES):
            return False
        given = inputs_of(call, element)
        if not given:
            return False
        constants = [
            self._arrays(value) if isinstance(value, NpyArray | NpzArray | MadeArray) else literal(value)
            for key, value in call.arguments.items()
            if key not in ("dtype", "out_type", "name")
        ]
        largest = max((one.rank or 0 for one in constants if one is not None), default=0)
        if len(given) == 1 and largest == 0:
            return True
        ranks = {one.rank if isinstance(one, Tensor) else None for one in given}
        if None in ranks:
            return None
        return len(ranks) == 1 and all(rank is not None and largest <= rank for rank in ranks)


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _read(call: OpCall) -> set[str]:
    """Keys of the fields that a call takes in."""
    if isinstance(call.on, tuple):
        return {str(field) for field in call.on}
    if call.on is not None:
        return {str(call.on)}
    return {_WHOLE} if call.inputs() else set()


def _arrays_in(value: Any) -> Iterator[NpyArray | NpzArray | MadeArray]:
    if isinstance(value, NpyArray | NpzArray | MadeArray):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _arrays_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _arrays_in(inner)


def _components(info: ElementInfo | None) -> tuple[Component, ...] | None:
    if info is None or info.components is None:
        return None
    return tuple(_component(tensor) for tensor in info.components)


def _component(tensor: Tensor) -> Component:
    if tensor.kind != "dense":
        # As in a graph: sparse and ragged tensors travel between stages as variants.
        return Component("variant", None)
    return Component(tensor.dtype, tensor.shape, tensor.content.mean_bytes if tensor.content is not None else None)


def _owner(address: str) -> str | None:
    """The stage whose function a stage belongs to."""
    above = (
        address.removesuffix("source").rstrip(".") if address.endswith("source") else address.rpartition(".stages.")[0]
    )
    return above or None


def _below(address: str) -> str | None:
    """The stage before, in the same pipeline."""
    if address.endswith("source"):
        return None
    *_, number = address.split(".")
    inside = _owner(address) or ""
    return join(inside, "stages", int(number) - 1) if int(number) else join(inside, "source")


def _arguments(placed: Placed) -> dict[str, Any]:
    """TensorFlow's arguments as written; tensors are left out, their bytes and shapes stand elsewhere."""
    op = placed.op
    given = op.written()
    if isinstance(op, Range):
        given |= {"start": op.start, "stop": op.stop, "step": op.step}
    if isinstance(op, ListFiles):
        given["file_pattern"] = op.file_pattern
    plain = {name: _plain(value) for name, value in given.items() if name not in _TENSORS}
    return {name: value for name, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    """A value as data; ``None`` for what is none."""
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


__all__ = ["view_of_spec"]
