"""Which stages have much of a pipeline's work, where they stand, and what their functions are like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.proposal import Proposal, Semantics
from pipeprof.profiles.time.verdict import LOCK_FROM, STEP_BOUND_BELOW, is_free, wait_within_epochs
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, percent, stage_name

MUCH_WORK = 0.2
"""Share of the pipeline's work from which a stage is worth a change: with it gone, a batch takes a fifth less."""
SOME_WORK = 0.05
"""Share from which work counts at all, as the headspace: less is within the noise of a run."""
WAITING_CALLS = 16
"""Calls at a time of a stage that waits, each with a thread: 789 pictures of 20 ms per second instead of 48."""
WAITING_CORES = 0.3
"""Cores in use below which a stage with one call at a time waits instead of computing."""


def pays(view: PipelineView, *, restarts: bool = False) -> bool:
    """Whether a faster pipeline (or faster restarts, too) makes the steps faster, by the marks of the verdict."""
    profile, steps = view.profile, view.profile.steps if view.profile is not None else None
    if profile is None or steps is None:
        return False
    if profile.gains_are_bounds and profile.loop_ms:
        # Of a loop whose wait is not known, no step waits longer than it is in `next()`.
        return steps.fetch_ms.mean >= STEP_BOUND_BELOW * steps.interval_ms.mean
    if steps.dispatch is None or steps.wait_share is None:
        return not is_free(profile)
    wait = steps.wait_share if restarts else wait_within_epochs(steps)
    return wait >= STEP_BOUND_BELOW and not is_free(profile)


def share_of(*stages: StageView) -> float:
    """The part of the pipeline's work that stages have; 0 where it is not known."""
    return sum((stage.measured.share or 0.0) if stage.measured is not None else 0.0 for stage in stages)


def busy(view: PipelineView) -> list[tuple[StageView, ...]]:
    """The written stages with much of the work, most first; those that one line of the program makes count together."""
    groups: dict[tuple[object, ...], list[StageView]] = {}
    for stage in view.stages:
        if stage.measured is not None and not stage.injected:
            place = stage.location
            at = (place.file, place.line, place.column, place.call) if place is not None else (stage.id,)
            groups.setdefault((stage.op, stage.name, *at), []).append(stage)
    found = [tuple(group) for group in groups.values() if share_of(*group) >= MUCH_WORK]
    return sorted(found, key=lambda group: -share_of(*group))


def line_of(view: PipelineView, stage: StageView) -> list[StageView]:
    """The written stages that follow each other where a stage is, the source first."""
    own = pipeline_of(stage.id)
    return [one for one in view.stages if not one.injected and pipeline_of(one.id) == own]


def after(line: Sequence[StageView], stage: StageView) -> Sequence[StageView]:
    """The stages of a line that come after one of them."""
    return line[[one.id for one in line].index(stage.id) + 1 :]


def before(line: Sequence[StageView], stage: StageView) -> Sequence[StageView]:
    """The stages of a line that come before one of them, the source first."""
    return line[: [one.id for one in line].index(stage.id)]


def parallelism(stage: StageView) -> float:
    """Calls that run at a time; 1 of a stage that has none."""
    return max(1.0, (stage.measured.parallelism if stage.measured is not None else None) or 1.0)


def runs_ahead(stage: StageView) -> bool:
    """Whether it works on threads of its own."""
    if stage.executed_op is None:
        return traits(stage.op).prefetches
    return executed(stage.executed_op).asynchronous or traits(stage.op).prefetches


def waits(stage: StageView) -> bool:
    """Whether it waits more than it computes."""
    row = stage.measured
    return row is not None and (row.blocked_ms_per_batch or 0.0) > (row.cpu_ms_per_batch or 0.0)


def is_random(stage: StageView) -> bool | None:
    """Whether its function draws random numbers; ``None`` where that is not known, as of Python."""
    if stage.measured is not None and stage.measured.random is not None:
        return stage.measured.random
    return stage.function.random if stage.function is not None else None


def runs_python(stage: StageView) -> bool:
    """Whether it calls Python, as far as that is known."""
    row, function = traits(stage.op), stage.function
    ops = ops_of(stage) & PYTHON
    return bool((function is not None and function.python) or ops or (row.computes and row.wrapped))


def ops_of(stage: StageView) -> frozenset[str]:
    """Types of the ops in its function, as the graph has them or a trace saw them."""
    known = stage.function.ops if stage.function is not None else None
    seen = stage.measured.ops if stage.measured is not None else None
    return frozenset(known or ()) | {op.op for op in seen or ()}


def is_plain(stage: StageView) -> bool:
    """Whether what its function gives depends on its input alone."""
    return is_random(stage) is False and not runs_python(stage)


def waits_for_gil(view: PipelineView, stage: StageView) -> bool:
    """Whether parallel calls of it only take turns."""
    lock = view.facts.python_lock_share if view.facts is not None else None
    return runs_python(stage) and lock is not None and lock >= LOCK_FROM


def inside(view: PipelineView, stage: StageView) -> Iterator[StageView]:
    """A stage, and those that its functions make."""
    yield stage
    yield from view.inside(stage)


def worker_cores(view: PipelineView) -> float | None:
    """CPU seconds of the worker per second."""
    if view.facts is not None and view.facts.worker_cores is not None:
        return view.facts.worker_cores
    contention = view.profile.contention if view.profile is not None else None
    return contention.worker_cores if contention is not None else None


def cores_at_work(view: PipelineView) -> float | None:
    """Cores used between restarts: an epoch's start may leave all cores idle."""
    used, steps = worker_cores(view), view.profile.steps if view.profile is not None else None
    if view.kind == "static" or used is None or steps is None or not steps.count or not steps.running_ms > 0:
        return None
    return used * steps.interval_ms.mean / steps.running_ms


def proposal_about(
    stages: Sequence[StageView],
    title: str,
    why: str,
    edits: Sequence[PipelineEdit],
    semantics: Semantics | None = None,
    *,
    left: dict[str, float] | None = None,
    calls: dict[str, int] | None = None,
    prefetched: tuple[str, ...] = (),
) -> Proposal:
    """A change about stages, the first of which is named; `why` is what it does, after its name."""
    draws = any(is_random(stage) for stage in stages) and bool(calls)
    work = share_of(*stages)
    much = f", {percent(work)} of the pipeline's work," if work >= SOME_WORK else ""
    return Proposal(
        title,
        edits=tuple(edits),
        # Calls at the same time bring random numbers to other elements.
        semantics=semantics if semantics not in (None, "same") else "randomness" if draws else "same",
        stage=stages[0].id,
        covers=tuple(stage.id for stage in stages),
        sentence=f"{stages[0].label}{much} {why}.",
        left=left or {},
        calls=calls or {},
        prefetched=prefetched,
    )


def names_of(stages: Sequence[StageView]) -> str:
    """The names of stages, each once, for a sentence."""
    return listed(list(dict.fromkeys(stage_name(stage) for stage in stages)))
