"""Edits applied to a live dataset through its graph; the code that made it is not called again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeprof.pipelines.addresses import ADDED
from pipeprof.pipelines.edits.edits import PipelineEdit, nested_options, stages_of
from pipeprof.pipelines.edits.line import Path, line_of, path_of
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.pipelines.graph.edit.arguments import changes_shapes, set_argument
from pipeprof.pipelines.graph.edit.assemble import Assembly, Inlet, end_inlet, inlets
from pipeprof.pipelines.graph.edit.editable import EditableGraph, flat_element, new_name
from pipeprof.pipelines.graph.edit.elements import structured, unstructured
from pipeprof.pipelines.graph.edit.errors import CannotEditError, first_line
from pipeprof.pipelines.graph.edit.functions import Callee, add_traced
from pipeprof.pipelines.graph.edit.plan import Part, Plan, plan_edits
from pipeprof.pipelines.graph.edit.replay.line import read_line
from pipeprof.pipelines.graph.edit.round_trip import dataset_of_graph
from pipeprof.pipelines.graph.edit.scopes import FunctionScope, NodeScope, Scopes
from pipeprof.pipelines.graph.observe.light_graph import light_again
from pipeprof.pipelines.graph.observe.reading import LIGHT, without_tensors
from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.read.references import base_of
from pipeprof.pipelines.graph.stages import WrittenStage
from pipeprof.pipelines.ops.base import parse_stage
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.stages.whole import WithOptions
from pipeprof.pipelines.ops.traits import traits

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipeprof.pipelines.graph.observe.light_graph import Reading

_PIPELINE: Path = ()


def join_nested(assembly: Assembly, scopes: Scopes, parts: Sequence[Part], before: Sequence[WrittenStage]) -> None:
    """Join the stages of a line in a function's body.

    Raises:
        CannotEditError: A stage changes elements, or the line is not in one body.
    """
    _check(parts, before)
    scope, _ = scopes.find(before[-1].head)
    if not isinstance(scope, FunctionScope):
        raise CannotEditError("its function captures the dataset, which is made outside", before[0].owner)
    names = {stage.address: _names(scopes, scope, stage) for stage in before}
    reads = {
        stage.address: scope.readers(names[one.address][-1], names[stage.address])
        for one, stage in itertools.pairwise(before)
    }
    ends = scope.readers(names[before[-1].address][-1], None)
    at = f"{names[before[0].address][-1]}:handle:0"
    spec = assembly.elements.get(before[0].address)
    for part in parts[1:]:
        if part.stage is None:
            at = _new(assembly, scope, part, at, spec)
            continue
        if len(reads[part.stage.address]) != 1:
            raise CannotEditError("it does not read the stage before it alone", part.stage.address)
        scope.connect(reads[part.stage.address], at)
        at = f"{names[part.stage.address][-1]}:handle:0"
        spec = assembly.elements.get(part.stage.address)
    scope.connect(ends, at)


def _check(parts: Sequence[Part], before: Sequence[WrittenStage]) -> None:
    if parts[0].stage is not before[0]:
        raise CannotEditError("the first stage inside a function is not replaced on a graph", before[0].address)
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
        return [tf.data.experimental.to_variant(stage.apply(given, assembly.building, f"{ADDED}.inside"))]

    try:
        name, _ = add_traced(assembly.graph, fragment, [tf.TensorSpec([], tf.variant)])
    except (PipelineFailedError, ValidationError, tf.errors.OpError, ValueError, TypeError) as error:
        raise CannotEditError(f"TensorFlow does not accept the new stage: {first_line(error)}", part.op) from error
    call = tf.compat.v1.NodeDef(name=new_name("edit").replace("/", "_"), op="StatefulPartitionedCall", input=[at])
    return scope.inline(call, Callee(assembly.graph.functions[name], 0))


def apply_edits(
    dataset: Any,
    edits: Sequence[PipelineEdit],
    *,
    building: Building,
    ops: Mapping[str, str] | None = None,
    elements: Mapping[str, Any] | None = None,
    **reading: Unpack[Reading],
) -> Any:
    """Return a dataset with edits; without any, the dataset made again from its graph.

    Args:
        edits: The edits; their addresses are those of the stages as written. `SetEnvironment` changes nothing here.
        ops: For a spec, its ops by address (`build` collects them); None for a Python function.
        elements: Structures (``element_spec``) after stages as written, by address, as far as they are known.

    Raises:
        CannotEditError: An edit is not possible on this pipeline; the message names the stage and the reason.
    """
    import tensorflow as tf

    line = read_line(dataset, ops=ops, **reading)
    graph, stages = line.graph, line.all
    plan = plan_edits(stages, edits)
    scopes = Scopes(graph)
    reshaped = _set_arguments(plan, stages, scopes)
    assembly = Assembly(graph, line.written, building, elements or {}, shapes_changed=reshaped)
    spec = _join_lines(plan, stages, assembly, scopes, dataset.element_spec)
    element = graph.element_at(graph.root) if edits else None
    if element is not None:
        spec = structured(spec if spec is not None else dataset.element_spec, element)
    if spec is None:
        msg = "the structure of the edited pipeline's elements is not known"
        raise CannotEditError(msg, min(stages_of(edits), default=None))
    options = tf.data.Options()
    if plan.options:
        options = dataset.options()
        while is_option(graph.nodes[base_of(graph.root)].op):
            graph.root = graph.nodes[base_of(graph.root)].input[0]
    made = dataset_of_graph(graph, spec, dataset, *assembly.made)
    if not plan.options:
        return made
    light = getattr(made, LIGHT, None)
    made = _with_options(made, options, plan, building)
    if light is not None:
        again = light_again(_with_options(without_tensors(light, spec), options, plan, building), graph.held)
        if isinstance(again, str):
            raise CannotEditError(again)
        setattr(made, LIGHT, again)
    return made


def apply_steps(
    dataset: Any,
    steps: Sequence[Sequence[PipelineEdit]],
    *,
    building: Building,
    ops: Mapping[str, str] | None = None,
    **reading: Unpack[Reading],
) -> Any:
    """Return a dataset with steps of edits: the addresses of a step are those of the pipeline that the one before made.

    Args:
        dataset: A ``tf.data.Dataset``; without a step it is returned as it is.
    """
    for edits in steps:
        dataset = apply_edits(dataset, edits, building=building, ops=ops, **reading)
    return dataset


def _with_options(dataset: Any, options: Any, plan: Plan, building: Building) -> Any:
    try:
        stage = WithOptions.model_validate({"options": nested_options(plan.options)})
        added = stage.apply(dataset, building, f"{ADDED}.options").options()
    except (ValueError, AttributeError, TypeError) as error:
        raise CannotEditError(f"TensorFlow does not accept {', '.join(plan.options)}: {error}") from error
    return dataset.with_options(options.merge(added))


def _set_arguments(plan: Plan, stages: Sequence[WrittenStage], scopes: Scopes) -> bool:
    """Set arguments of stages; return whether static shapes may have changed."""
    by_address = {stage.address: stage for stage in stages}
    reshaped = False
    # Whether a stage is parallel decides which arguments it has.
    for edit in sorted(plan.arguments, key=lambda edit: edit.argument != "num_parallel_calls"):
        stage = by_address[edit.stage]
        try:
            scope, name = scopes.find(stage.head)
            set_argument(scope, scope.node(name), edit.argument, edit.value, _reader(stage, scopes))
        except CannotEditError as error:
            raise CannotEditError(error.reason, stage.address) from error
        if changes_shapes(stage.op, edit.argument):
            if stage.owner is not None:
                msg = f"{edit.argument} may change the shapes of elements inside a function that was traced for them"
                raise CannotEditError(msg, stage.address)
            reshaped = True
    return reshaped


def _reader(stage: WrittenStage, scopes: Scopes) -> tuple[NodeScope, Any] | None:
    if not traits(stage.op).wrapped or traits(stage.op).computes:
        return None
    inner = next((node for node in stage.nodes if "::" in node.removeprefix(stage.head)), None)
    if inner is None:
        return None
    scope, name = scopes.find(inner)
    return scope, scope.node(name)


def _join_lines(plan: Plan, stages: Sequence[WrittenStage], assembly: Assembly, scopes: Scopes, final: Any) -> Any:
    structure = final
    for at in sorted(plan.lines, key=lambda at: (-len(at), tuple(map(str, at)))):
        parts = plan.lines[at]
        before = [stage for stage in stages if line_of(path_of(stage.address)) == at]
        if at not in plan.changed and not assembly.shapes_changed:
            continue
        if before[0].owner is not None:
            if at in plan.changed:
                join_nested(assembly, scopes, parts, before)
            continue
        outside = next((stage for stage in before if stage.head not in assembly.graph.nodes), None)
        if outside is not None:
            raise CannotEditError("it is made in a function that the graph calls", outside.address)
        ends = _ends(at, before, stages, assembly.graph)
        structure_of_line = assembly.join(parts, before, final if at == _PIPELINE else None, ends)
        if at == _PIPELINE:
            structure = structure_of_line
    return structure


def _ends(at: Path, line: list[WrittenStage], stages: Sequence[WrittenStage], graph: EditableGraph) -> list[Inlet]:
    head = line[-1].head
    if at == _PIPELINE:
        end = end_inlet(graph, head)
        found = [end] if end is not None else []
    else:
        readers = [stage for stage in stages if at[: stage.address.count(".") + 1] == path_of(stage.address)]
        owner = max(readers, key=lambda stage: len(stage.address), default=None)
        found = inlets(graph, owner.nodes, head) if owner is not None else []
    if not found:
        raise CannotEditError("what reads it is not a stage of the pipeline", line[-1].address)
    return found
