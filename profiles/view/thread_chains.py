"""Layout of the running pipeline on threads: chains of stages whose times add up.

A stage that runs ahead (a prefetch, anything parallel) has threads of its own; the stages before it, back to the next
one that runs ahead, share one thread: a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.ops import traits
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.executed_ops import family
from pipeprof.profiles.document.shared import Dispatch
from pipeprof.profiles.view.view import PipelineView, StageView


@dataclass(frozen=True)
class Timing:
    """The measured steps.

    Attributes:
        in_turn: Whether the loop requests a batch only when the step before is over.
        restart_ms: What the starts of epochs take of it; nothing inside the pipeline makes them shorter.
        busy_ms: The device's work per step; 0 without a step.
        wait_ms: The device idle because of the pipeline, per step, without what the starts of epochs cost.
    """

    interval_ms: float
    busy_ms: float
    wait_ms: float
    batches: int
    dispatch: Dispatch | None
    in_turn: bool
    restart_ms: float = 0.0

    @property
    def running_ms(self) -> float:
        """From one step to the next while no epoch starts."""
        return self.interval_ms - self.restart_ms


def timing(view: PipelineView) -> Timing | None:
    """Return the measured steps; ``None`` if there are none."""
    profile = view.profile if view.kind == "measured" else None
    steps = profile.steps if profile is not None else None
    if profile is None or steps is None or steps.count <= 0 or not steps.interval_ms.mean > 0:
        return None
    return Timing(
        interval_ms=steps.interval_ms.mean,
        busy_ms=steps.busy_ms.mean if steps.busy_ms is not None else 0.0,
        wait_ms=max(0.0, steps.known_wait_ms - steps.restart_ms),
        batches=steps.count,
        dispatch=steps.dispatch,
        in_turn=profile.takes_turns,
        restart_ms=steps.restart_ms,
    )


def kind_of(stage: StageView) -> str:
    """Return the family of what runs, e.g. ``ParallelMap``; empty if nothing is known to run."""
    return family(stage.executed_op) if stage.executed_op else ""


def runs_ahead(stage: StageView) -> bool:
    """Return whether the stage produces elements ahead of demand."""
    return traits.runs_ahead(stage.executed_op)


def degree(stage: StageView) -> float:
    """Return the number of parallel calls as executed."""
    parallelism = stage.measured.parallelism if stage.measured is not None else None
    return max(1.0, parallelism or 1.0)


def tuned(stage: StageView) -> bool:
    """Return whether TensorFlow chooses the degree."""
    return stage.arguments.get("num_parallel_calls") == AUTOTUNE or bool(
        stage.measured is not None and stage.measured.tunable
    )


def tuned_buffer(stage: StageView) -> bool:
    """Return whether TensorFlow chooses how much a prefetch holds."""
    return stage.arguments.get("buffer_size") == AUTOTUNE or bool(stage.measured is not None and stage.measured.tunable)


def owners(view: PipelineView, stage: StageView) -> Iterator[StageView]:
    """Yield the stages in whose functions `stage` stands, innermost first."""
    seen = {stage.id}
    at = view.by_id.get(stage.owner or "")
    while at is not None and at.id not in seen:
        seen.add(at.id)
        yield at
        at = view.by_id.get(at.owner or "")


def beside(view: PipelineView, stage: StageView) -> float:
    """Return how many of the stage the functions around it run at a time."""
    times = 1.0
    for owner in owners(view, stage):
        times *= degree(owner) if runs_ahead(owner) else 1.0
    return times


def placed(view: PipelineView, stage: StageView) -> bool:
    """Return whether the stage's number of threads is known; inside a function, its owner must be known."""
    return stage.depth == 0 or stage.owner is not None or view.ever_after(stage, "outer", lambda one: one.depth == 0)


def has_cost(stage: StageView) -> bool:
    """Return whether the time inside the stage is known and recorded for it, not for a stage fused with it."""
    ms = stage.ms_per_batch
    return ms is not None and ms > 0 and stage.measured is not None and stage.measured.fused_with is None


def drawn(view: PipelineView, stage: StageView) -> list[StageView]:
    """Return the stages whose times add up when an element is drawn from `stage`; stops at what runs ahead."""
    found: dict[str, StageView] = {}
    todo = [stage]
    while todo:
        one = todo.pop()
        if one.id in found or runs_ahead(one):
            continue
        found[one.id] = one
        todo += reversed([*_inner_ends(view, one), *inputs(view, one)])
    return list(found.values())


def inputs(view: PipelineView, stage: StageView) -> list[StageView]:
    """Return the stages it reads, in order."""
    return [view.by_id[input_] for input_ in stage.inputs if input_ in view.by_id and input_ != stage.id]


def _inner_ends(view: PipelineView, stage: StageView) -> list[StageView]:
    inside = view.inside(stage)
    return [
        member for member in inside if member.owner == stage.id and not view.readers(member) and not member.injected
    ]


def total_ms(stages: Sequence[StageView]) -> float:
    """Sum up the time per batch of all of them; an unknown time counts 0."""
    return sum(stage.ms_per_batch or 0.0 for stage in stages)


def end(view: PipelineView) -> StageView | None:
    """Return the last stage that runs; ``None`` if that is not known."""
    added = [stage for stage in view.stages if stage.injected and stage.depth == 0 and kind_of(stage) == "Prefetch"]
    root = view.root
    if any(root is None or not stage.inputs or root.id in stage.inputs for stage in added):
        return added[-1]
    seen: set[str] = set()
    # TensorFlow removes a stage without effect.
    while root is not None and not root.executed_op and root.id not in seen:
        seen.add(root.id)
        root = view.input_of(root)
    return root if root is not None and root.executed_op else None


@dataclass(frozen=True)
class ThreadRow:
    """Stages that share one thread, last stage first.

    Attributes:
        stages: Their times per batch add up.
        waited_ms: How long is waited for the row per batch.
        turn_ms: Time of other work on the same thread: the step, where the loop alternates with the device.
    """

    stages: tuple[StageView, ...]
    waited_ms: float
    turn_ms: float = 0.0


def rows(view: PipelineView, timing_: Timing) -> Iterator[ThreadRow]:
    """List the rows of the main line; stages inside functions are left out, as many may run at a time."""
    last = end(view)
    if last is not None and not runs_ahead(last):
        yield ThreadRow(
            tuple(drawn(view, last)),
            timing_.wait_ms if timing_.in_turn else timing_.interval_ms,
            timing_.busy_ms if timing_.in_turn else 0.0,
        )
    for stage in view.stages:
        if not runs_ahead(stage) or not placed(view, stage) or stage.owner is not None:
            continue
        # A stage with one call at a time alternates with its input.
        own = [stage] if kind_of(stage) != "Prefetch" and degree(stage) == 1.0 else []
        for row in [own + drawn(view, below) for below in inputs(view, stage)] or [own]:
            if row:
                yield ThreadRow(tuple(row), timing_.interval_ms)
