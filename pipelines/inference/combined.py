"""Inference for sources that combine pipelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.inference.calls import CallFlow
from pipeprof.pipelines.inference.common_structure import common_structure
from pipeprof.pipelines.inference.errors import Place, Refused
from pipeprof.pipelines.inference.known_files import KnownFiles
from pipeprof.pipelines.inference.stages import UNKNOWN, Flow
from pipeprof.pipelines.inference.tables import entries
from pipeprof.pipelines.inference.tensor.shapes import FLOATS, Structure, Tensor
from pipeprof.pipelines.inference.tensor.texts import refuse
from pipeprof.pipelines.ops import counts


class Inference(Protocol):
    """The inference of a whole pipeline, as a single source or stage uses it."""

    strict: bool
    files: KnownFiles
    calls: CallFlow

    def pipeline(self, pipeline: Any, address: str, place: Place, outer: Structure) -> Flow:
        """Infer the elements of an inner pipeline."""
        ...

    def report(self, place: Place, refusal: Refused, batched: str | None = None) -> None:
        """Report what TensorFlow would refuse."""
        ...


@dataclass(frozen=True)
class PipelineContext:
    """The source or stage whose elements are inferred.

    Attributes:
        outer: The element that its pipeline is made for.
    """

    inference: Inference
    address: str
    place: Place
    outer: Structure

    @property
    def strict(self) -> bool:
        """Whether only TensorFlow's own words count."""
        return self.inference.strict

    def inner(self, op: Any, outer: Structure = None) -> list[Flow]:
        """Infer the elements of the pipelines among the arguments, in order; nested ones get `outer`."""
        return [
            self.inference.pipeline(
                pipeline.pipeline,
                join(self.address, *pipeline.below),
                (*self.place, *pipeline.place),
                outer if pipeline.per_element else self.outer,
            )
            for pipeline in op.pipelines()
        ]

    def guarded(self, check: Callable[[], Any]) -> Any:
        """Return the result of a check; ``None`` after reporting a refusal."""
        try:
            return check()
        except Refused as refusal:
            self.inference.report(self.place, refusal)
        return None


Combiner = Callable[[Any, PipelineContext], Flow]
COMBINED: dict[str, Combiner] = {}
"""By TensorFlow's name."""

_infers = entries(COMBINED)


@_infers("zip")
def _zip(source: Any, context: PipelineContext) -> Flow:
    flows = context.inner(source)
    structure = source.datasets.build(lambda index, _: flows[index].structure)
    uneven = any(flow.uneven for flow in flows)
    return Flow(structure, counts.shortest(flow.cardinality for flow in flows), uneven)


def _all_structures(flows: list[Flow], numbers: Sequence[int]) -> Structure:
    """The structure that the elements of all have; `numbers` are their places in ``datasets``.

    Raises:
        Refused: There is none.
    """
    structure = flows[0].structure
    for number, flow in zip(numbers[1:], flows[1:], strict=True):
        try:
            structure = common_structure(structure, flow.structure)
        except Refused as refusal:
            raise Refused(refusal.message, refusal.code, "datasets", number) from None
    return structure


@_infers("concatenate")
def _concatenate(source: Any, context: PipelineContext) -> Flow:
    flows = context.inner(source)
    structure = _all_structures(flows, range(len(flows)))
    return Flow(structure, counts.added(flow.cardinality for flow in flows), uneven=True)


@_infers("sample_from_datasets")
def _sample(source: Any, context: PipelineContext) -> Flow:
    flows = context.inner(source)
    count = len(source.datasets.value)
    datasets, weights = flows[:count], source.weights
    if len(flows) > count:
        context.guarded(lambda: _check_weights(flows[count].structure, count))
    numbers: Sequence[int] = range(count)
    if isinstance(weights, tuple):
        # TensorFlow leaves out what is never drawn.
        numbers = [index for index in range(count) if weights[index] > 0]
        if not numbers:
            return UNKNOWN
    if len(numbers) == 1:
        return datasets[numbers[0]]
    datasets = [datasets[index] for index in numbers]
    structure = _all_structures(datasets, numbers)
    return Flow(structure, _drawn(datasets, context, stop=source.stop_on_empty_dataset), uneven=True)


def _check_weights(structure: Structure, count: int) -> None:
    if not isinstance(structure, Tensor):
        return
    fits = structure.shape is None or (len(structure.shape) == 1 and structure.shape[0] in (None, count))
    if structure.dtype not in FLOATS or not fits:
        refuse(structure, "wrong-weights", f"a float tensor of shape [{count}]", "weights")


def _drawn(datasets: list[Flow], context: PipelineContext, *, stop: bool) -> int | None:
    known = [flow.cardinality for flow in datasets]
    if context.strict or stop:
        return counts.drawn(known) if context.strict else None
    return counts.added(known)


@_infers("choose_from_datasets")
def _choose(source: Any, context: PipelineContext) -> Flow:
    *datasets, choice = context.inner(source)
    context.guarded(lambda: _check_choice(choice.structure))
    structure = _all_structures(datasets, range(len(datasets)))
    count = counts.drawn(flow.cardinality for flow in datasets) if context.strict else None
    return Flow(structure, count, uneven=True)


def _check_choice(structure: Structure) -> None:
    if structure is None:
        return
    fits = isinstance(structure, Tensor) and structure.dtype == "int64" and structure.shape in ((), None)
    if not fits:
        refuse(structure, "wrong-choice", "a single int64: which pipeline is next", "choice_dataset")
