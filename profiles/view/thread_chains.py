"""The measured steps of a view, and the stages around a stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeprof.profiles.view.view import PipelineView, StageView


@dataclass(frozen=True)
class Timing:
    """The measured steps.

    Attributes:
        restart_ms: What the starts of epochs take of the interval; nothing inside the pipeline makes them shorter.
    """

    interval_ms: float
    restart_ms: float = 0.0

    @property
    def running_ms(self) -> float:
        """From one step to the next while no epoch starts."""
        return self.interval_ms - self.restart_ms


def timing(view: PipelineView) -> Timing | None:
    """Return the measured steps; ``None`` if there are none."""
    profile = view.profile if view.kind == "measured" else None
    steps = profile.steps if profile is not None else None
    if steps is None or steps.count <= 0 or not steps.interval_ms.mean > 0:
        return None
    return Timing(steps.interval_ms.mean, steps.restart_ms)


def owners(view: PipelineView, stage: StageView) -> Iterator[StageView]:
    """Yield the stages in whose functions `stage` stands, innermost first."""
    seen = {stage.id}
    at = view.by_id.get(stage.owner or "")
    while at is not None and at.id not in seen:
        seen.add(at.id)
        yield at
        at = view.by_id.get(at.owner or "")
