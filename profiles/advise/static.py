"""Findings and predicted memory of a target, without running it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.static.slips import slips_in
from pipeprof.profiles.advise.advise import advise, tried
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.predict import MemoryPrediction, memory_prediction
from pipeprof.profiles.view.from_sketch import rows_of_sketch, view_of_sketch
from pipeprof.profiles.view.texts import with_written
from pipeprof.profiles.view.view import PipelineView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.protocol.messages import Sketch


@dataclass(frozen=True)
class StaticAdvice:
    """Advice without a run.

    Attributes:
        stages: Rows of the sources and stages, as far as they are known.
        findings: In the order in which they are shown; ``None`` if nothing could be judged.
        memory: Predicted bytes by owner; ``None`` if they could not be worked out.
        what_ifs: Largest shuffles and caches within the limit, if one is set.
        messages: Warnings: findings that failed, findings that were ignored, what is not known.
    """

    stages: Sequence[Stage] = ()
    findings: list[Finding] | None = None
    memory: MemoryPrediction | None = None
    messages: list[Message] = field(default_factory=list)
    what_ifs: list[LimitAnswer] = field(default_factory=list)


def static_advice(
    target: ParsedTarget,
    loaded: LoadedSpec | None,
    rows: Sequence[Stage],
    sketch: Sketch | None,
    *,
    cores: float,
    memory_limit_bytes: int | None = None,
    what_if: bool = False,
) -> StaticAdvice:
    """Judge a target by its text and by the graph that it was built to, without a run. Never raises.

    Args:
        rows: A spec's sources and stages, whose places findings take.
        sketch: None for a function of which only the text is known; then its findings are None where that shows none.
        what_if: Answer what the limit means for shuffles and caches.
    """

    def read() -> PipelineView:
        if sketch is None:
            view = PipelineView("static", (), cores=cores, memory_limit_bytes=memory_limit_bytes)
        else:
            spec = rows if loaded is not None else None
            view = view_of_sketch(sketch, cores=cores, memory_limit=memory_limit_bytes, spec=spec)
        if loaded is not None:
            return with_written(view, loaded)
        return replace(view, slips=tuple(slips_in(target.path, target.function)))

    messages: list[Message] = []
    view = tried("the stages", read, messages)
    if view is None:
        return StaticAdvice(rows, messages=messages)
    rows = rows or rows_of_sketch(view)
    if sketch is not None and sketch.written["root"] is None:
        messages.append(Message(code="no-graph", message=f"The graph could not be read: {sketch.written['reason']}"))
    ignore = loaded.spec.ignore if loaded is not None else ()
    memory = tried("its memory", lambda: memory_prediction(view), messages) if sketch is not None else None
    findings, more = tried("the findings", lambda: advise(view, ignore=ignore), messages) or (None, [])
    messages += more
    if memory is None:
        return StaticAdvice(rows, findings if sketch is not None else findings or None, messages=messages)
    answers = []
    if what_if and memory_limit_bytes is not None:
        from pipeprof.profiles.memory.limit_answers import what_ifs

        answers = what_ifs(view, memory, memory_limit_bytes)
    return StaticAdvice(rows, findings, memory, messages, answers)
