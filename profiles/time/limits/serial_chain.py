"""Stages that take turns on one thread: where their times add up to the interval, together they set the pace.

A stage that runs ahead (a prefetch, anything parallel) has threads of its own; everything that it draws from, down to
the next one that runs ahead, takes turns on one of them. The datasets inside a function take turns with the stage that
calls it, unless that one runs several calls at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.document.stages import Stage

SUM_FROM = 0.90
"""Share of the time to fill from which the stages of a chain are busy all of it, one after another."""
SUM_UP_TO = 1.05
"""Upper mark of it: stages that took turns on one thread cannot take longer."""
PART_FROM = 0.10
"""Share of the chain's time from which a stage is named as a part of it."""
_ADDRESS = re.compile(r"(?P<parts>(?:.+\.)?)(?:source|stages\.(?P<number>\d+))$")


@dataclass(frozen=True)
class Chain:
    """Stages on one thread whose times together fill what they are waited for.

    Attributes:
        parts: The stages that take a good part of it, in the order elements flow.
        stages: All of them, in the same order.
        total_ms: Per batch in all of them.
        filled_ms: Per batch: the interval, or the wait of a step that takes turns with them.
        in_turn: Whether the step takes turns with them, because nothing runs ahead of it.
    """

    parts: tuple[Stage, ...]
    stages: tuple[Stage, ...]
    total_ms: float
    filled_ms: float
    in_turn: bool


def find_chain(stages: Sequence[Stage], steps: Steps) -> Chain | None:
    """Find stages, two at least, that take turns on one thread for all of the interval.

    Args:
        stages: With the times inside them.
    """
    restart = (steps.restart_share or 0.0) * steps.interval_ms.mean
    for row in _list_thread_rows(stages):
        in_turn = row.last and steps.dispatch == "sync"
        filled = (steps.wait_ms.mean if in_turn else steps.interval_ms.mean) - restart
        times = [stage.inside_ms or 0.0 for stage in row.stages]
        total = sum(times)
        if filled <= 0 or not SUM_FROM * filled <= total <= SUM_UP_TO * filled:
            continue
        parts = tuple(one for one, ms in zip(row.stages, times, strict=True) if ms >= PART_FROM * total)
        if len(parts) > 1:
            return Chain(parts, row.stages, total, filled, in_turn)
    return None


@dataclass(frozen=True)
class _ThreadRow:
    stages: tuple[Stage, ...]
    last: bool


@dataclass(frozen=True)
class _StagePlace:
    """Place of a stage: the pipeline it belongs to, and its number there; -1 for the source."""

    pipeline: str
    number: int


def _list_thread_rows(stages: Sequence[Stage]) -> Iterator[_ThreadRow]:
    """Yield the stages of each thread; not those inside functions that run several at a time."""
    pipelines: dict[str, dict[int, Stage]] = {}
    for stage in stages:
        place = _parse_place(stage.id)
        if stage.origin == "written" and place is not None:
            pipelines.setdefault(place.pipeline, {})[place.number] = stage
    many = tuple(f"{stage.id}." for stage in stages if _runs_ahead(stage) and traits(stage.op).nests)
    last = _find_last(pipelines.get("", {}))
    if last is not None and not _runs_ahead(last):
        # What TensorFlow adds outside of functions is a prefetch at the end.
        added = any(stage.origin == "injected" and not stage.depth and _runs_ahead(stage) for stage in stages)
        yield _ThreadRow(tuple(_list_drawn(pipelines, "", max(pipelines[""]))), last=not added)
    for pipeline, members in pipelines.items():
        if pipeline.startswith(many):
            continue
        for number, stage in members.items():
            if not _runs_ahead(stage):
                continue
            # One that makes one element at a time takes its turn with what it draws from.
            own = [stage] if not traits(stage.op).prefetches and stage.parallelism == 1.0 else []
            inside = [] if traits(stage.op).nests else _list_inside(pipelines, stage)
            yield _ThreadRow((*_list_drawn(pipelines, pipeline, number - 1), *inside, *own), last=False)


def _list_drawn(pipelines: Mapping[str, Mapping[int, Stage]], pipeline: str, number: int) -> list[Stage]:
    """List the stages whose times add up when an element is drawn from one of a pipeline; stops at what runs ahead."""
    found: list[Stage] = []
    members = pipelines.get(pipeline, {})
    for at in range(number, -2, -1):
        stage = members.get(at)
        if stage is None:
            continue
        if _runs_ahead(stage):
            break
        found = [*_list_inside(pipelines, stage), stage, *found]
    return found


def _list_inside(pipelines: Mapping[str, Mapping[int, Stage]], stage: Stage) -> list[Stage]:
    """List what is drawn from the pipelines inside a stage: of its function, or those that it combines."""
    found: list[Stage] = []
    for pipeline, members in pipelines.items():
        if pipeline.startswith(f"{stage.id}.") and not _is_between(pipelines, stage.id, pipeline):
            found += _list_drawn(pipelines, pipeline, max(members))
    return found


def _is_between(pipelines: Mapping[str, Mapping[int, Stage]], outer: str, inner: str) -> bool:
    """Whether a pipeline lies inside a stage of another one that is inside the same outer stage."""
    return any(
        other != inner
        and other.startswith(f"{outer}.")
        and inner.startswith(tuple(f"{stage.id}." for stage in within.values()))
        for other, within in pipelines.items()
    )


def _find_last(members: Mapping[int, Stage]) -> Stage | None:
    """Return the last stage of a pipeline that runs: one without effect is taken out."""
    running = [number for number, stage in members.items() if stage.tf_op is not None]
    return members[max(running)] if running else None


def _runs_ahead(stage: Stage) -> bool:
    """Whether it makes its elements ahead of the stage that reads them."""
    if stage.tf_op is None:
        return False
    return traits(stage.tf_op).prefetches or executed(stage.tf_op).asynchronous


def _parse_place(address: str) -> _StagePlace | None:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    return _StagePlace(found["parts"], int(found["number"]) if found["number"] is not None else -1)
