"""The stages of a line inside a function, joined in their new order in the function's body.

Only stages that give out the elements that they were given: those of a function decide what the stage that calls it
gives, and its element is traced into everything after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.pipelines.graph.edit.assemble import Assembly
from pipeprof.pipelines.graph.edit.editable import base_of, flat_element, new_name
from pipeprof.pipelines.graph.edit.elements import structured, unstructured
from pipeprof.pipelines.graph.edit.errors import CannotEditError, first_line
from pipeprof.pipelines.graph.edit.functions import Callee, add_traced
from pipeprof.pipelines.graph.edit.plan import Part
from pipeprof.pipelines.graph.edit.scopes import FunctionScope, Scopes
from pipeprof.pipelines.graph.stages import WrittenStage
from pipeprof.pipelines.ops.base import parse_stage
from pipeprof.pipelines.ops.traits import traits


def join_nested(assembly: Assembly, scopes: Scopes, parts: Sequence[Part], before: Sequence[WrittenStage]) -> None:
    """Join the stages of a line in a function's body.

    Args:
        parts: The stages in their new order.

    Raises:
        CannotEditError: A stage changes elements, or the line is not in one body.
    """
    _check(parts, before)
    scope, _ = scopes.find(before[-1].head)
    if not isinstance(scope, FunctionScope):
        msg = "its function captures the dataset, which is made outside"
        raise CannotEditError(msg, before[0].owner)
    names = {stage.address: _names(scopes, scope, stage) for stage in before}
    reads = {
        stage.address: scope.readers(names[one.address][-1], names[stage.address])
        for one, stage in itertools.pairwise(before)
    }
    last = names[before[-1].address][-1]
    ends = scope.readers(last, None)
    at = f"{names[before[0].address][-1]}:handle:0"
    spec = assembly.elements.get(before[0].address)
    for part in parts[1:]:
        if part.stage is None:
            at = _new(assembly, scope, part, at, spec)
            continue
        if len(reads[part.stage.address]) != 1:
            msg = "it does not read the stage before it alone"
            raise CannotEditError(msg, part.stage.address)
        scope.connect(reads[part.stage.address], at)
        at = f"{names[part.stage.address][-1]}:handle:0"
        spec = assembly.elements.get(part.stage.address)
    scope.connect(ends, at)


def _check(parts: Sequence[Part], before: Sequence[WrittenStage]) -> None:
    if parts[0].stage is not before[0]:
        msg = "the first stage inside a function is not replaced on a graph"
        raise CannotEditError(msg, before[0].address)
    kept = {part.stage.address for part in parts if part.stage is not None}
    changed = [part.op for part in parts if part.stage is None or part.moved]
    changed += [stage.op for stage in before if stage.address not in kept]
    for op in changed:
        row = traits(op)
        if not (row.passes and row.keeps_shapes and row.function is None):
            msg = f"{op} changes elements inside a function that later stages were traced for"
            raise CannotEditError(msg, before[0].owner)


def _names(scopes: Scopes, scope: FunctionScope, stage: WrittenStage) -> list[str]:
    found = []
    for node_id in stage.nodes:
        other, name = scopes.find(node_id)
        if other is scope:
            found.append(name)
    return found


def _new(assembly: Assembly, scope: FunctionScope, part: Part, at: str, spec: Any) -> str:
    import tensorflow as tf

    assert part.new is not None  # noqa: S101 - for the type checker
    element = flat_element(scope.node(base_of(at)))
    known = None if spec is None else structured(spec, element)

    def fragment(variant: Any) -> list[Any]:
        given = tf.data.experimental.from_variant(variant, unstructured(element) if known is None else known)
        stage = parse_stage({part.op: dict(part.new.arguments if part.new is not None else {})})
        made = stage.apply(given, assembly.building, "edit.inside")
        return [tf.data.experimental.to_variant(made)]

    try:
        name, _ = add_traced(assembly.graph, fragment, [tf.TensorSpec([], tf.variant)])
    except (PipelineFailedError, ValidationError, tf.errors.OpError, ValueError, TypeError) as error:
        msg = f"TensorFlow does not accept the new stage: {first_line(error)}"
        raise CannotEditError(msg, part.op) from error
    call = tf.compat.v1.NodeDef(name=new_name("edit").replace("/", "_"), op="StatefulPartitionedCall", input=[at])
    return scope.inline(call, Callee(assembly.graph.functions[name], 0))
