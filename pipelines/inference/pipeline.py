"""Element inference for a whole spec: structure, dtypes, shapes and counts after every stage, without TensorFlow.

What only TensorFlow or a run can tell is ``None``, never guessed: a Python function, or a function without a rule,
makes unknown what it gives.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.inference.calls import CallFlow
from pipeprof.pipelines.inference.combined import COMBINED, PipelineContext
from pipeprof.pipelines.inference.errors import Place, Refused, Report, ignore
from pipeprof.pipelines.inference.function_stages import FUNCTION_STAGES
from pipeprof.pipelines.inference.known_files import KnownFiles
from pipeprof.pipelines.inference.sources import ElementInfo, SourceContext, source_elements
from pipeprof.pipelines.inference.stages import HANDLERS, UNKNOWN, Flow
from pipeprof.pipelines.inference.tensor.fields import field_of
from pipeprof.pipelines.inference.tensor.shapes import Nested, Structure, each, settled
from pipeprof.pipelines.inference.tensor.texts import refuse
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.models import Spec


def element_specs(spec: Spec, base_dir: Path, *, strict: bool = False) -> dict[str, ElementInfo]:
    """Infer the elements of every source and stage, by address.

    Args:
        strict: Whether to say only what TensorFlow's ``element_spec`` and ``cardinality`` say. Otherwise dimensions
            and counts that the recipes under ``data:`` settle are filled in, and the size of all batches but the last.
    """
    inference = PipelineInference(KnownFiles(base_dir, spec.data), strict=strict)
    inference.pipeline(spec, "", (), None)
    return inference.found


class PipelineInference:
    """Element inference from the source through the stages, with a report of what TensorFlow would refuse."""

    def __init__(self, files: KnownFiles, *, strict: bool, report: Report = ignore) -> None:
        self.found: dict[str, ElementInfo] = {}
        self.strict = strict
        self.files = files
        self._report = report
        self._batched: str | None = None
        self.calls = CallFlow(
            files.array, strict=strict, report=lambda place, refusal: self.report(place, refusal, self._batched)
        )

    def pipeline(self, pipeline: Any, address: str, place: Place, outer: Structure) -> Flow:
        """The elements of a pipeline."""
        if pipeline.source is not None:
            flow = self._from_source(pipeline.source, address, place, outer)
        else:
            flow = self._from_element(getattr(pipeline, "on", None), place, outer)
        for index, stage in enumerate(pipeline.stages or []):
            here = join(address, "stages", index)
            at = (*place, "stages", index, stage.op)
            try:
                flow = self._after(stage, flow, PipelineContext(self, here, at, outer))
            except Refused as refusal:
                self.report(at, refusal, flow.batched)
                flow = UNKNOWN
            if traits(stage.op).batches and not traits(stage.op).unbatches:
                flow = replace(flow, batched=here)
            self.found[here] = ElementInfo(flow.structure, flow.cardinality)
        return flow

    def report(self, place: Place, refusal: Refused, batched: str | None = None) -> None:
        """Pass on what TensorFlow would refuse; with the address of the batch that made a single one into many."""
        if batched is not None and refusal.excess == 1:
            message = f"{refusal.message}: call it before the batch ({batched})"
            refusal = Refused(message, refusal.code, *refusal.argument, suggestion=refusal.suggestion)
        self._report((*place, *refusal.argument), refusal)

    def _from_source(self, source: Any, address: str, place: Place, outer: Structure) -> Flow:
        here, at = join(address, "source"), (*place, "source", source.op)
        source_bytes = None
        try:
            combine = COMBINED.get(source.op)
            if combine is not None:
                flow = combine(source, PipelineContext(self, here, at, outer))
            else:
                first = source_elements(source, SourceContext(self.files, outer, self.strict))
                flow, source_bytes = Flow(first.structure, first.cardinality), first.source_bytes
        except Refused as refusal:
            self.report(at, refusal)
            flow = UNKNOWN
        self.found[here] = ElementInfo(flow.structure, flow.cardinality, source_bytes)
        return flow

    def _from_element(self, field: str | int | None, place: Place, outer: Structure) -> Flow:
        try:
            inner = outer if field is None else field_of(outer, field, "on")
            if inner is None:
                return UNKNOWN
            if not isinstance(inner, Nested):
                expected = "a dataset, as `window` makes them, for a pipeline without `source`"
                refuse(inner, "no-dataset", expected, *(("on",) if field is not None else ()))
        except Refused as refusal:
            self.report(place, refusal)
            return UNKNOWN
        return Flow(inner.structure, None if self.strict else inner.cardinality, uneven=True)

    def _after(self, stage: Any, flow: Flow, context: PipelineContext) -> Flow:
        if not traits(stage.op).keeps_shapes:
            flow = replace(flow, structure=each(settled, flow.structure))
        handler = HANDLERS.get(stage.op)
        if handler is not None:
            return handler(stage, flow, self.strict)
        combine = FUNCTION_STAGES.get(stage.op)
        self._batched = flow.batched
        return combine(stage, flow, context) if combine is not None else UNKNOWN
