"""Stages that take turns on one thread: where their times add up to the interval, together they set the pace.

A stage that runs ahead (a prefetch, anything parallel) has threads of its own; everything that it draws from, down to
the next one that runs ahead, takes turns on one of them. The datasets inside a function take turns with the stage that
calls it, unless that one runs several calls at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pipeprof.pipelines.meaning.traits import runs_ahead, traits
from pipeprof.profiles.lines import lines_of, stages_around

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.document.stages import Stage

SUM_FROM = 0.90
"""Share of the time to fill from which the stages of a chain are busy all of it, one after another."""
SUM_UP_TO = 1.05
"""Upper mark of it: stages that took turns on one thread cannot take longer."""
PART_FROM = 0.10
"""Share of the chain's time from which a stage is named as a part of it."""
_Inner: TypeAlias = "Mapping[str | None, Sequence[Sequence[Stage]]]"
"""Lines by the stage that they are directly inside of."""


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
    for row in _list_thread_rows(stages):
        in_turn = row.last and steps.dispatch == "sync"
        filled = (steps.known_wait_ms if in_turn else steps.interval_ms.mean) - steps.restart_ms
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


def _list_thread_rows(stages: Sequence[Stage]) -> Iterator[_ThreadRow]:
    """Yield the stages of each thread; not those inside functions that run several at a time."""
    lines = lines_of(stages)
    inner: dict[str | None, list[list[Stage]]] = {}
    for line in lines.values():
        inner.setdefault(next(stages_around(line[0].id), None), []).append(line)
    many = {stage.id for stage in stages if runs_ahead(stage.tf_op) and traits(stage.op).nests}
    main = lines.get("", [])
    # A stage without effect is taken out.
    last = next((stage for stage in reversed(main) if stage.tf_op is not None), None)
    if last is not None and not runs_ahead(last.tf_op):
        # What TensorFlow adds outside of functions is a prefetch at the end.
        added = any(stage.origin == "injected" and not stage.depth and runs_ahead(stage.tf_op) for stage in stages)
        yield _ThreadRow(tuple(_list_drawn(inner, main)), last=not added)
    for line in lines.values():
        if not many.isdisjoint(stages_around(line[0].id)):
            continue
        for number, stage in enumerate(line):
            if not runs_ahead(stage.tf_op):
                continue
            # One that makes one element at a time takes its turn with what it draws from.
            own = [stage] if not traits(stage.op).prefetches and stage.parallelism == 1.0 else []
            inside = [] if traits(stage.op).nests else _list_inside(inner, stage)
            yield _ThreadRow((*_list_drawn(inner, line[:number]), *inside, *own), last=False)


def _list_drawn(inner: _Inner, line: Sequence[Stage]) -> list[Stage]:
    """List the stages whose times add up when an element is drawn from the end of a line; stops at what runs ahead."""
    found: list[Stage] = []
    for stage in reversed(line):
        if runs_ahead(stage.tf_op):
            break
        found = [*_list_inside(inner, stage), stage, *found]
    return found


def _list_inside(inner: _Inner, stage: Stage) -> list[Stage]:
    """List what is drawn from the lines inside a stage: of its function, or those that it combines."""
    return [drawn for line in inner.get(stage.id, ()) for drawn in _list_drawn(inner, line)]
