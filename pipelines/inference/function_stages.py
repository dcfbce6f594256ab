"""Inference for stages that call a function or combine pipelines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipeprof.pipelines.inference.calls import inside_function
from pipeprof.pipelines.inference.combined import PipelineContext
from pipeprof.pipelines.inference.common_structure import common_structure
from pipeprof.pipelines.inference.errors import Place, Refused
from pipeprof.pipelines.inference.padding import padded
from pipeprof.pipelines.inference.sources import literals
from pipeprof.pipelines.inference.stages import UNKNOWN, Flow, stacked
from pipeprof.pipelines.inference.tables import entries
from pipeprof.pipelines.inference.tensor.shapes import Nested, Structure, Tensor, each
from pipeprof.pipelines.inference.tensor.texts import mismatch, refuse
from pipeprof.pipelines.ops import counts
from pipeprof.pipelines.ops.constants import INFINITE

_ROUNDS = 8
"""Passes over a state until its shape is left open."""

FunctionHandler = Callable[[Any, Flow, PipelineContext], Flow]
FUNCTION_STAGES: dict[str, FunctionHandler] = {}
"""By TensorFlow's name."""

_infers = entries(FUNCTION_STAGES)


def _result(function: Any, element: Structure, context: PipelineContext, place: Place, *, answers: bool) -> Structure:
    """Infer the result of a function; ``None`` for one in a Python file."""
    calls = getattr(function, "ops", None)
    if calls is None:
        return None
    chain = (*context.place, *place, "ops")
    return context.inference.calls.chain(calls, inside_function(element), chain, answers=answers)


def _written(stage: Any, argument: str) -> tuple[Any, Place]:
    """A function argument and where it stands: directly in the stage, or under TensorFlow's own name."""
    named = getattr(stage, argument, None)
    return (named, (argument,)) if named is not None else (getattr(stage, "function", None), ())


@_infers("map")
def _map(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    function, place = _written(stage, "map_func")
    return replace(flow, structure=_result(function, flow.structure, context, place, answers=False))


def _check_truth(stage: Any, flow: Flow, context: PipelineContext) -> None:
    function, place = _written(stage, "predicate")
    result = _result(function, flow.structure, context, place, answers=True)
    if result is None:
        return
    if not isinstance(result, Tensor) or result.dtype != "bool" or result.shape not in ((), None):
        last = len(function.ops) - 1
        expected = f"a single bool from the last call of {stage.op}"
        refuse(result, "no-truth-value", expected, *place, "ops", last)


@_infers("filter")
def _filter(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    context.guarded(lambda: _check_truth(stage, flow, context))
    return replace(flow, cardinality=None if context.strict else flow.endless)


@_infers("take_while")
def _take_while(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    context.guarded(lambda: _check_truth(stage, flow, context))
    return replace(flow, cardinality=None)


@_infers("flat_map", "interleave")
def _nested(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    parallel = stage.op == "interleave" and stage.num_parallel_calls is not None
    flows = context.inner(stage, inside_function(flow.structure))
    inner = flows[0] if flows else UNKNOWN
    return replace(inner, cardinality=_nested_count(flow.cardinality, inner.cardinality, context, parallel))


def _nested_count(outer: int | None, inner: int | None, context: PipelineContext, parallel: bool) -> int | None:
    if context.strict:
        # TensorFlow says so much of a parallel interleave alone.
        return INFINITE if parallel and outer == INFINITE else None
    if outer is None:
        return None
    if INFINITE in (outer, inner):
        return INFINITE if 0 not in (outer, inner) else None
    return None if inner is None else outer * inner


@_infers("concatenate")
def _concatenate(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    (other,) = context.inner(stage)
    try:
        structure = common_structure(flow.structure, other.structure)
    except Refused as refusal:
        raise Refused(refusal.message, refusal.code, "dataset") from None
    return Flow(structure, counts.added((flow.cardinality, other.cardinality)), uneven=True, batched=flow.batched)


@_infers("scan")
def _scan(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    function, place = _written(stage, "scan_func")
    state = literals(stage.initial_state, context.inference.files)
    output: Structure = None
    for _ in range(_ROUNDS):
        result = _result(function, (state, flow.structure), context, place, answers=False)
        if result is None:
            return replace(flow, structure=None)
        if not isinstance(result, tuple) or len(result) != 2:
            expected = "a tuple (new state, output element) from the function of scan"
            refuse(result, "wrong-structure", expected, *place, "ops")
        new, output = result
        try:
            wider = common_structure(state, new)
        except Refused:
            expected = "the structure and dtypes of initial_state"
            raise mismatch(new, "wrong-state", expected, *place, "ops") from None
        if wider == state or wider is None:
            break
        state = wider
    return replace(flow, structure=output)


@_infers("group_by_window")
def _group_by_window(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    context.guarded(lambda: _check_key(stage, flow, context))
    flows = context.inner(stage, Nested(flow.structure, cardinality=stage.window_size))
    inner = flows[0] if flows else UNKNOWN
    structure = inner.structure
    if stage.window_size is None and inner.batched is not None:
        # A group's size is its key's, and a batch of it may hold less than it could.
        structure = each(_of_any_size, structure)
    return Flow(structure, flow.endless, uneven=True, batched=inner.batched)


def _of_any_size(component: Tensor | Nested) -> Tensor | Nested:
    return replace(component, shape=(None, *component.shape[1:]) if component.shape else component.shape)


def _check_key(stage: Any, flow: Flow, context: PipelineContext) -> None:
    key = _result(stage.key_func, flow.structure, context, ("key_func",), answers=True)
    if key is None:
        return
    if not isinstance(key, Tensor) or key.dtype != "int64" or key.shape not in ((), None):
        refuse(key, "wrong-key", "a single int64 from key_func", "key_func", "ops")


@_infers("bucket_by_sequence_length")
def _bucket(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    context.guarded(lambda: _check_length(stage, flow, context))
    structure = flow.structure
    if not stage.no_padding:
        structure = padded(structure, stage.padded_shapes, stage.padding_values)
    sizes = set(stage.bucket_batch_sizes)
    size = sizes.pop() if len(sizes) == 1 and not context.strict else None
    return Flow(each(lambda one: stacked(one, size), structure), flow.endless, uneven=True)


def _check_length(stage: Any, flow: Flow, context: PipelineContext) -> None:
    place = ("element_length_func",)
    length = _result(stage.element_length_func, flow.structure, context, place, answers=True)
    if isinstance(length, Tensor) and length.dtype != "int32":
        refuse(length, "wrong-dtype", "an int32 length from element_length_func", *place, "ops")


@_infers("rejection_resample")
def _rejection_resample(stage: Any, flow: Flow, context: PipelineContext) -> Flow:
    label = _result(stage.class_func, flow.structure, context, ("class_func",), answers=True)
    return Flow((label, flow.structure), None if context.strict else flow.endless, uneven=True)
