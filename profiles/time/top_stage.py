"""The stage with most of the time inside the pipeline, and stages of unknown time.

TensorFlow's model has no cost of an iterator that had ended when it was read, as those before a shuffle that holds the
whole dataset; then the trace may have the ops of the stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.time.stage_notes import unseen_text
from pipeprof.profiles.wording import milliseconds, stage_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeprof.profiles.document.stages import Stage

EQUAL_FROM = 0.8
"""Share of the largest stage's time from which another one is named with it."""
MOST_FROM = 0.5
"""Share of the work, and of the interval, from which no other stage can have more."""
_UNSEEN = "stages-unseen"


def top_stage(stages: list[Stage] | None, epochs: int = 0, interval_ms: float = 0.0) -> Stage | None:
    """The stage with most of the time inside the pipeline.

    `None` where a stage that may be it has no known cost, and where one that TensorFlow added has more.

    Args:
        stages: Of the profile.
        epochs: How often the dataset ended and was started again while it was measured.
        interval_ms: From one batch to the next. With it, stages of unknown cost do not matter where one of known cost
            has most of all the work, the CPU time that belongs to no stage included, and fills most of the interval.
    """
    known = [stage for stage in stages or [] if _cost(stage)]
    top = max(known, key=lambda stage: _cost(stage) or 0.0, default=None)
    if top is None or top.origin != "written":
        return None
    most = (top.share or 0.0) > MOST_FROM and (top.active_ms or 0.0) > MOST_FROM * interval_ms > 0
    return top if most or not _unknown(stages or [], epochs) else None


def equal_stages(stage: Stage, stages: list[Stage] | None) -> tuple[Stage, ...]:
    """Other stages that take about as much of the time inside the pipeline."""
    if not stage.share:
        return ()
    least = EQUAL_FROM * stage.share
    return tuple(
        other_stage
        for other_stage in stages or []
        if other_stage.id != stage.id and other_stage.origin == "written" and (other_stage.share or 0.0) >= least
    )


def repeated_stages(stage: Stage, stages: list[Stage] | None) -> tuple[Stage, ...]:
    """Return the stages that one line of the program makes with one function, where they have most of the work.

    A function that builds a part of the pipeline may be called for each of several inputs: each of its stages may then
    have little of the work, and all of them together the most.

    Args:
        stage: The stage with most of the work.
        stages: All of them.

    Returns:
        Two stages or more, the one with most work first; none where no such stages have more than `stage` alone.
    """
    alike: dict[tuple[str, ...], list[Stage]] = {}
    for other in stages or []:
        if other.origin == "written" and other.name and other.location is not None and other.share:
            place = other.library or other.location
            alike.setdefault((other.op, other.name, place.file, str(place.line)), []).append(other)
    found = max(alike.values(), key=lambda group: sum(member.share or 0.0 for member in group), default=[])
    if len(found) < 2 or sum(member.share or 0.0 for member in found) <= (stage.share or 0.0):
        return ()
    return tuple(sorted(found, key=lambda member: -(member.share or 0.0)))


def unknown_stages(stages: list[Stage] | None, epochs: int = 0) -> list[Stage]:
    """Return the stages of unknown cost that may cost much, while the costs of others are known."""
    if not any(_cost(stage) for stage in stages or [] if stage.origin == "written"):
        return []
    return _unknown(stages or [], epochs)


def _cost(stage: Stage) -> float | None:
    """As TensorFlow's model counts it, else what the trace saw of the ops of its function."""
    if stage.active_ms is not None:
        return stage.active_ms
    if stage.ops:
        return sum(op.ms_per_batch for op in stage.ops)
    return stage.share


def _unknown(stages: list[Stage], epochs: int) -> list[Stage]:
    """The stages of unknown cost that may cost much."""
    idle = _served_from_caches(stages) if epochs > 1 else frozenset()
    return [
        stage
        for stage in stages
        if _cost(stage) is None and not _is_gone(stage) and _is_costly(stage) and stage.id not in idle
    ]


def unread_note(stages: list[Stage] | None, epochs: int, notes: Iterable[Message] = ()) -> Message | None:
    """Warn that the table of stages lacks the costs of some, in a dataset that starts again and again.

    Args:
        stages: Of the profile.
        epochs: How often the dataset ended and was started again while it was measured.
        notes: Warnings, which may name some stages already.
    """
    written = [stage for stage in stages or [] if stage.origin == "written"]
    restarted = epochs > 0 or any(stage.op == "repeat" for stage in written)
    if not restarted or all(stage.inside_ms is None for stage in written):
        return None
    named = {id_ for note in notes if note.code == _UNSEEN for id_ in note.stages} | _served_from_caches(written)
    unread = [
        stage
        for stage in written
        if stage.inside_ms is None and stage.tf_op is not None and not _is_gone(stage) and stage.id not in named
    ]
    if not unread:
        return None
    traced = [(stage_label(stage), sum(op.ms_per_batch for op in stage.ops)) for stage in unread if stage.ops]
    ops = "".join(f" By the trace, the ops of {label} take {milliseconds(ms)} per batch." for label, ms in traced)
    text = (
        f"{unseen_text(unread)} The shares of the other stages leave {'it' if len(unread) == 1 else 'them'} out.{ops}"
    )
    return Message(code=_UNSEEN, message=text, stages=[stage.id for stage in unread])


def _is_gone(stage: Stage) -> bool:
    return stage.fused_with is not None or (stage.executed or "").startswith("removed")


def _served_from_caches(stages: list[Stage]) -> frozenset[str]:
    """Stages before a cache, which no longer run once an epoch has filled it."""
    caches: dict[str, list[int]] = {}
    for stage in stages:
        pipeline, _, number = stage.id.rpartition("stages.")
        if stage.op == "cache" and number.isdigit():
            caches.setdefault(pipeline, []).append(int(number))
    chains: dict[str, list[tuple[int, Stage]]] = {}
    for stage in stages if caches else ():
        for pipeline, rest in _pipelines_around(stage.id):
            place = _place_in_chain(rest) if pipeline in caches else None
            if place is not None:
                chains.setdefault(pipeline, []).append((place, stage))
    found: set[str] = set()
    for pipeline, chain in chains.items():
        # A cache that is never read to its end is never full.
        cut = max((place for place, stage in chain if stage.op == "take"), default=-1)
        last = max((number for number in caches[pipeline] if number >= cut), default=-1)
        found |= {stage.id for place, stage in chain if place < last}
    return frozenset(found)


def _pipelines_around(address: str) -> Iterator[tuple[str, str]]:
    """The addresses of the pipelines that a stage lies in, outermost first, each with the rest of its own."""
    start = 0
    while start >= 0:
        yield address[:start], address[start:]
        start = address.find(".", start) + 1 or -1


def _place_in_chain(address: str) -> int | None:
    """The number of the stage of a chain that an address is, or lies in; -1 for the source."""
    first, _, rest = address.partition(".")
    number = rest.partition(".")[0]
    if first == "source":
        return -1
    return int(number) if first == "stages" and number.isdigit() else None


def _is_costly(stage: Stage) -> bool:
    """Whether the stage may cost much: a function of it computes elements, or makes the datasets they come from."""
    return traits(stage.op).computes or traits(stage.op).opens
