"""Warnings about the table of stages: costs that are unknown, estimated or scaled up, and buffers without memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.wording import percent, stage_label, stage_labels

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.messages import Swallowed


@dataclass(frozen=True)
class StageNote:
    """Caveats about some stages' numbers.

    Attributes:
        code: Of the warning, without ``stages-``.
        seen: The smallest part of a stage's elements whose cost was read; 0 for ``unseen`` if none was.
    """

    code: Literal["unseen", "traced", "scaled", "alias"]
    stages: tuple[str, ...]
    seen: float = 0.0

    def message(self, rows: Sequence[Stage]) -> Message:
        """Write the warning, with the stages' names."""
        stages = [row for row in rows if row.id in self.stages]
        text = _TEXTS[self.code](stages, self.seen)
        return Message(code=f"stages-{self.code}", message=text, stages=[stage.id for stage in stages])


def swallowed_message(stage: Stage, swallower: Stage, taken: int, lost: float, seen: Swallowed | None) -> Message:
    """Warn that elements are missing because their errors were swallowed.

    Args:
        stage: It raised the errors.
        taken: Elements that went into it.
        lost: At least so many of them.
        seen: One of the errors, if it is known.
    """
    text = (
        f"{stage_label(swallower)} hides errors: of {taken:,} elements that went into {stage_label(stage)}, at least "
        f"{lost:,.0f} ({percent(lost / taken)}) raised one and are missing. {_example(seen)}"
    )
    return Message(code="errors-ignored", message=text, stages=[stage.id, swallower.id])


def uncounted_message(swallower: Stage, seen: Swallowed) -> Message:
    """Warn of swallowed errors that the counters of the run do not show."""
    text = (
        f"{stage_label(swallower)} hides errors: of {seen.elements:,} elements that were read before it after the "
        f"measurement, {seen.errors:,} ({percent(seen.errors / seen.elements)}) raised one and are missing. "
        f"{_example(seen)}"
    )
    return Message(code="errors-ignored", message=text, stages=[swallower.id])


def _example(seen: Swallowed | None) -> str:
    all_of_them = "`ignore_errors(log_warning=True)` prints them."
    return f"The first error: {seen.example.rstrip('.')}. {all_of_them}" if seen is not None else all_of_them


def unseen_text(stages: Sequence[Stage], seen: float = 0.0) -> str:
    """State that costs are unknown, and why."""
    several = len(stages) > 1
    if seen:
        least = percent(seen)
        why = f"they were read for less than {least} of their elements"
        why = why if several else f"it was read for less than {least} of its elements"
    else:
        why = "they finished before they could be read" if several else "it finished before it could be read"
    if several:
        return f"The costs of {stage_labels(stages)} are unknown: {why}."
    return f"The cost of {stage_labels(stages)} is unknown: {why}."


def _traced_text(stages: Sequence[Stage], _seen: float) -> str:
    if len(stages) > 1:
        rest = "are estimates: they finished before they could be read, so they come from the (slower) trace."
        return f"The times of {stage_labels(stages)} {rest}"
    rest = "is an estimate: it finished before it could be read, so it comes from the (slower) trace."
    return f"The time of {stage_labels(stages)} {rest}"


def _scaled_text(stages: Sequence[Stage], seen: float) -> str:
    read = f"at least {percent(seen)} of the elements"
    names = stage_labels(stages)
    if len(stages) > 1:
        return f"The costs of {names} are scaled up: they restarted while measured, and were read for {read}."
    return f"The cost of {names} is scaled up: it restarted while measured, and was read for {read}."


def _alias_text(stages: Sequence[Stage], _seen: float) -> str:
    return (
        f"{stage_labels(stages)} {'hold' if len(stages) > 1 else 'holds'} views of the source array: no extra memory."
    )


_TEXTS: dict[str, Callable[[Sequence[Stage], float], str]] = {
    "unseen": unseen_text,
    "traced": _traced_text,
    "scaled": _scaled_text,
    "alias": _alias_text,
}
