"""Findings and predicted memory of a spec or of a function's source, without running it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeprof.profiles.advise.advise import advise, tried
from pipeprof.profiles.advise.rule import rules as all_rules
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.predict.autotuned_buffers import not_predicted
from pipeprof.profiles.memory.predict.model import MemoryPrediction
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.view.attach_spec import with_written

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.sharding import Sharding
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.protocol.source import HostsAnswer
    from pipeprof.profiles.view.view import PipelineView


@dataclass(frozen=True)
class StaticAdvice:
    """Advice without a run.

    Attributes:
        findings: In the order in which they are shown; ``None`` if no rule could be applied.
        memory: Predicted bytes by owner; ``None`` if they could not be worked out.
        what_ifs: Largest shuffles and caches within the limit, if one is set.
        messages: Warnings: rules that failed, findings that were ignored, what is not known.
        sharding: What each host reads; None without `hosts`.
        stages: If a function was called for its hosts, what it builds for host 0; else None.
    """

    findings: list[Finding] | None = None
    memory: MemoryPrediction | None = None
    messages: list[Message] = field(default_factory=list)
    what_ifs: list[LimitAnswer] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    sharding: Sharding | None = None
    stages: list[Stage] | None = None


def static_advice(
    loaded: LoadedSpec,
    *,
    cores: float,
    memory_limit_bytes: int | None = None,
    what_if: bool = False,
    hosts: int | None = None,
) -> StaticAdvice:
    """Apply the static part of every rule to a spec. Never raises.

    Args:
        what_if: Answer what the limit means for shuffles and caches.
        hosts: How many hosts divide the data; None for one that has all of it.
    """
    from pipeprof.profiles.view.from_spec import view_of_spec

    def read() -> PipelineView:
        return with_written(view_of_spec(loaded, cores=cores, memory_limit_bytes=memory_limit_bytes), loaded)

    messages: list[Message] = []
    seen = tried("the spec", read, messages)
    if seen is None:
        return StaticAdvice(messages=messages)
    view = seen if hosts is None else _divided(seen, loaded, hosts, messages)
    memory = tried("its memory", lambda: memory_prediction(view), messages)
    findings, more = tried("the rules", lambda: advise(view, ignore=loaded.spec.ignore), messages) or (None, [])
    if memory is None:
        return StaticAdvice(findings, messages=[*messages, *more], sharding=view.sharding)
    answers = []
    if what_if and memory_limit_bytes is not None:
        from pipeprof.profiles.memory.predict.what_if import what_ifs

        answers = what_ifs(view, memory, memory_limit_bytes)
    return StaticAdvice(findings, memory, [*messages, *more], answers, not_predicted(view, memory), view.sharding)


def _divided(view: PipelineView, loaded: LoadedSpec, hosts: int, messages: list[Message]) -> PipelineView:
    """The view with what each host reads."""
    from pipeprof.profiles.hosts.files import SpecFiles
    from pipeprof.profiles.hosts.shares import sharding_of

    return replace(view, sharding=tried("its hosts", lambda: sharding_of(view, hosts, SpecFiles(loaded)), messages))


def source_advice(target: ParsedTarget, *, cores: float, memory_limit_bytes: int | None = None) -> StaticAdvice:
    """Apply the rules to what the text of a function's file shows of its pipeline. Never raises.

    The findings are None where the text shows nothing: the stages are unknown before a run.
    """
    from pipeprof.profiles.view.from_sketch import view_of_source

    messages: list[Message] = []
    limit = memory_limit_bytes
    view = tried("the source", lambda: view_of_source(target, cores=cores, memory_limit_bytes=limit), messages)
    if view is None or not view.slips:
        return StaticAdvice(messages=messages)
    findings, more = tried("the rules", lambda: advise(view), messages) or (None, [])
    return StaticAdvice(findings or None, messages=[*messages, *more])


def hosts_advice(
    target: ParsedTarget, answer: HostsAnswer, hosts: int, *, cores: float, memory_limit_bytes: int | None = None
) -> StaticAdvice:
    """Apply the rules about hosts to what a function makes for them, and the others to its source. Never raises."""
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.hosts.called import view_for_hosts
    from pipeprof.profiles.view.from_sketch import rows_of_sketch

    source = source_advice(target, cores=cores, memory_limit_bytes=memory_limit_bytes)
    messages = [*source.messages, *(Message(code=code, message=text) for code, text in answer.notes)]
    limit = memory_limit_bytes
    view = tried("its hosts", lambda: view_for_hosts(answer, hosts, cores=cores, memory_limit_bytes=limit), messages)
    if view is None:
        return replace(source, messages=messages)
    rules = {name: rule for name, rule in all_rules().items() if rule.about_hosts}
    found, more = tried("the rules", lambda: advise(view, rules=rules), messages) or (None, [])
    findings = [*(source.findings or []), *(found or [])] if found is not None else source.findings
    return StaticAdvice(findings, messages=[*messages, *more], sharding=view.sharding, stages=rows_of_sketch(view))
