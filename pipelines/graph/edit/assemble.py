"""The stages of a line joined in their new order, in the data's direction."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from pipeprof.pipelines.addresses import ADDED
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement, flat_element
from pipeprof.pipelines.graph.edit.elements import (
    at_least_as_specific,
    needs_structure,
    shape_text,
    structured,
    unstructured,
)
from pipeprof.pipelines.graph.edit.errors import CannotEditError, first_line
from pipeprof.pipelines.graph.edit.functions import retrace, set_shapes
from pipeprof.pipelines.graph.edit.plan import Part
from pipeprof.pipelines.graph.edit.scopes import function_of, set_function
from pipeprof.pipelines.graph.edit.split import move_over
from pipeprof.pipelines.graph.edit.vectorise import whole_batches
from pipeprof.pipelines.graph.observe.reading import serialise
from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.read.references import base_of, function_names
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage
from pipeprof.pipelines.ops.base import parse_source, parse_stage
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.traits import traits

_MARKS: Final = itertools.count()


@dataclass
class Assembly:
    """A graph whose lines are being joined.

    Attributes:
        elements: Structures of the elements that stages as written give, as far as they are known.
        shapes_changed: Whether elements may have other shapes than before in the lines that are not joined yet.
    """

    graph: EditableGraph
    written: StageGraph
    building: Building
    elements: Mapping[str, Any]
    shapes_changed: bool = False
    made: list[Any] = field(default_factory=list)

    def join(self, parts: list[Part], before: list[WrittenStage], final: Any, ends: list[Inlet]) -> Any:
        """Join the stages of a line; return the structure of its elements, None where it is not known.

        Args:
            final: Structure of the line's elements as written, None where it is not known.
        """
        self.shapes_changed = True
        known = self._structures(before, final)
        reads = {stage.address: inlets(self.graph, stage.nodes, one.head) for one, stage in itertools.pairwise(before)}
        inputs = {stage.address: flat_element(self.graph.nodes[one.head]) for one, stage in itertools.pairwise(before)}
        structure: Any = None
        at: str | None = None
        for index, part in enumerate(parts):
            stage = part.stage
            if stage is None:
                begins = part.flat and not (index and parts[index - 1].flat)
                structure, at = self._new(part, at, None if begins else structure)
                structure = structure if part.ends is None else known.get(part.ends)
                continue
            if at is not None:
                if not reads.get(stage.address):
                    raise CannotEditError("it does not read the stage before it alone", stage.address)
                for inlet in reads[stage.address]:
                    inlet.connect(self.graph, at)
                self._fit(part, at, inputs[stage.address])
            elif index == 0 and stage is not before[0]:
                raise CannotEditError("a stage cannot come before the source", stage.address)
            passing = traits(stage.op).same_components
            if not (index and passing and (structure is not None or part.moved)):
                structure = known.get(stage.address)
            at = stage.head
        assert at is not None  # noqa: S101 - a plan's lines have a source
        for inlet in ends:
            inlet.connect(self.graph, at)
        return structure

    def _structures(self, stages: list[WrittenStage], final: Any) -> dict[str, Any]:
        found = {stage.address: self.elements[stage.address] for stage in stages if stage.address in self.elements}
        if final is not None:
            for stage in reversed(stages):
                found.setdefault(stage.address, final)
                if not traits(stage.op).same_components:
                    break
        return found

    def _new(self, part: Part, at: str | None, structure: Any) -> tuple[Any, str]:
        """Build a new stage after the one at a reference, or a new source; return its structure and its reference."""
        import tensorflow as tf
        from google.protobuf.message import DecodeError

        assert part.new is not None  # noqa: S101 - for the type checker
        op, document = part.new.op, {part.new.op: dict(part.new.arguments)}
        number = next(_MARKS)
        mark, address = f"pipeprof_cut_{number}_", f"{ADDED}.{number}"
        try:
            if at is None:
                made = parse_source(document).build(self.building, address)
            else:
                element = self.graph.element_at(at)
                spec = None if structure is None else structured(structure, element)
                if spec is None and part.flat:
                    spec = unstructured(element)
                if spec is None and needs_structure(op):
                    msg = "it depends on the structure of its elements, which the graph does not show at this place"
                    raise CannotEditError(msg, op)
                # What is registered with a service is run, and no part of the graph that reads from it.
                remote = traits(op).remote
                variant = self.graph.real_variant(at) if remote else self.graph.variant(at)
                given = tf.data.experimental.from_variant(variant, unstructured(element) if spec is None else spec)
                before = given if remote else given.skip(0, name=mark)
                made = parse_stage(document).apply(before, self.building, address)
                structure = structure if spec is None else made.element_spec
        except CannotEditError:
            raise
        except (PipelineFailedError, ValidationError, DecodeError, tf.errors.OpError, ValueError, TypeError) as error:
            raise CannotEditError(f"TensorFlow does not accept the new stage: {first_line(error)}", op) from error
        self.made.append(made)
        graph = serialise(tf.data.experimental.to_variant(made))
        if isinstance(graph, str):
            raise CannotEditError(graph, op)
        return made.element_spec if at is None else structure, self.graph.graft(graph, mark, at or "")

    def _fit(self, part: Part, at: str, traced: FlatElement) -> None:
        assert part.stage is not None  # noqa: S101 - for the type checker
        stage, node = part.stage, self.graph.nodes[part.stage.head]
        if traits(stage.op).function is None:
            return
        element = self.graph.element_at(at)
        if part.over:
            move_over(self.graph, stage, part.over, element)
            return
        function = self.written.nodes[stage.head].function
        elementwise = function is not None and bool(function["elementwise"])
        if part.whole_batches:
            whole_batches(self.graph, stage, node, traced, element, elementwise=elementwise)
            return
        if element == traced or next(function_names(node), None) is None:
            return
        if element.types != traced.types:
            msg = f"its function takes {shape_text(traced)}; the elements there are {shape_text(element)}"
            raise CannotEditError(msg, stage.address)
        fits = at_least_as_specific(element.shapes, traced.shapes)
        if not fits and not elementwise:
            msg = (
                f"its function was traced for {shape_text(traced)} and may not fit {shape_text(element)}, "
                "the elements there"
            )
            raise CannotEditError(msg, stage.address)
        if traits(stage.op).computes and traits(stage.op).single_function:
            retrace_stage(self.graph, stage, node, element)


def retrace_stage(graph: EditableGraph, stage: WrittenStage, node: Any, element: FlatElement) -> None:
    """Trace the function of a map or filter again for elements of other shapes."""
    import tensorflow as tf

    try:
        name, results = retrace(graph, function_of(graph, node), element)
    except (tf.errors.OpError, ValueError, TypeError) as error:
        msg = f"its function does not take {shape_text(element)}: {first_line(error)}"
        raise CannotEditError(msg, stage.address) from error
    if traits(stage.op).predicate and not results[0].shape.is_compatible_with([]):
        msg = f"its predicate gives one truth value for each of {shape_text(element)}, expected a single one"
        raise CannotEditError(msg, stage.address)
    set_function(node, name)
    if traits(stage.op).maps:
        set_shapes(node, [result.shape for result in results])


@dataclass(frozen=True)
class Inlet:
    """An input of a node that reads a line; of the graph's result if there is no node."""

    node: str | None
    index: int

    def connect(self, graph: EditableGraph, reference: str) -> None:
        """Make it read another dataset."""
        if self.node is None:
            graph.root = reference
        else:
            graph.nodes[self.node].input[self.index] = reference


def inlets(graph: EditableGraph, nodes: tuple[str, ...], head: str) -> list[Inlet]:
    """Return the inputs of a stage's nodes that read a dataset, directly or through options."""
    found: dict[Inlet, None] = {}
    # A reader of several files is partly in a function.
    for name in filter(graph.nodes.__contains__, nodes):
        for index, reference in enumerate(graph.nodes[name].input):
            inlet = _through_options(graph, Inlet(name, index), reference, head)
            if inlet is not None:
                found[inlet] = None
    return list(found)


def end_inlet(graph: EditableGraph, head: str) -> Inlet | None:
    """Return what reads the whole pipeline: the result, or the first of the options before it."""
    return _through_options(graph, Inlet(None, 0), graph.root, head)


def _through_options(graph: EditableGraph, inlet: Inlet, reference: str, head: str) -> Inlet | None:
    while base_of(reference) != head:
        node = graph.nodes[base_of(reference)]
        if not (is_option(node.op) or node.op == "Identity") or not node.input:
            return None
        inlet, reference = Inlet(node.name, 0), node.input[0]
    return inlet
