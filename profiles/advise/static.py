"""Findings and predicted memory of a spec or of a function's source, without running it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeprof.profiles.advise.advise import advise, tried
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.predict import MemoryPrediction, memory_prediction
from pipeprof.profiles.view.from_sketch import view_as_written, view_of_source
from pipeprof.profiles.view.texts import with_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.pipelines.graph.stages import StageGraph
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.view.view import PipelineView


@dataclass(frozen=True)
class StaticAdvice:
    """Advice without a run.

    Attributes:
        findings: In the order in which they are shown; ``None`` if nothing could be judged.
        memory: Predicted bytes by owner; ``None`` if they could not be worked out.
        what_ifs: Largest shuffles and caches within the limit, if one is set.
        messages: Warnings: findings that failed, findings that were ignored, what is not known.
    """

    findings: list[Finding] | None = None
    memory: MemoryPrediction | None = None
    messages: list[Message] = field(default_factory=list)
    what_ifs: list[LimitAnswer] = field(default_factory=list)


def static_advice(
    loaded: LoadedSpec,
    written: StageGraph,
    stages: Sequence[Stage],
    *,
    cores: float,
    memory_limit_bytes: int | None = None,
    what_if: bool = False,
) -> StaticAdvice:
    """Judge a spec by the graph that it was built to, without a run. Never raises.

    Args:
        stages: The rows of the spec's sources and stages, whose places findings take.
        what_if: Answer what the limit means for shuffles and caches.
    """

    def read() -> PipelineView:
        view = view_as_written(written, stages, cores=cores, memory_limit=memory_limit_bytes)
        return with_written(view, loaded)

    messages: list[Message] = []
    view = tried("the spec", read, messages)
    if view is None:
        return StaticAdvice(messages=messages)
    memory = tried("its memory", lambda: memory_prediction(view), messages)
    findings, more = tried("the findings", lambda: advise(view, ignore=loaded.spec.ignore), messages) or (None, [])
    if memory is None:
        return StaticAdvice(findings, messages=[*messages, *more])
    answers = []
    if what_if and memory_limit_bytes is not None:
        from pipeprof.profiles.memory.limit_answers import what_ifs

        answers = what_ifs(view, memory, memory_limit_bytes)
    return StaticAdvice(findings, memory, [*messages, *more], answers)


def source_advice(target: ParsedTarget, *, cores: float, memory_limit_bytes: int | None = None) -> StaticAdvice:
    """Judge what the text of a function's file shows of its pipeline. Never raises.

    The findings are None where the text shows nothing: the stages are unknown before a run.
    """
    messages: list[Message] = []
    limit = memory_limit_bytes
    view = tried("the source", lambda: view_of_source(target, cores=cores, memory_limit_bytes=limit), messages)
    if view is None or not view.slips:
        return StaticAdvice(messages=messages)
    findings, more = tried("the findings", lambda: advise(view), messages) or (None, [])
    return StaticAdvice(findings or None, messages=[*messages, *more])
