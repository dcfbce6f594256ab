"""Speed lost by a fix that saves memory, where it adds work to the thread that draws from a source."""

from __future__ import annotations

from dataclasses import dataclass

from pipeprof.profiles.view.thread_chains import rows, timing, total_ms
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, ratio_text


@dataclass(frozen=True)
class Slower:
    """Steps with more work per batch in a stage that runs one call at a time.

    Attributes:
        today_ms: Present work per step of the thread that draws from the stage.
    """

    interval_ms: float
    today_ms: float
    added_ms: float

    @property
    def speedup(self) -> float:
        """Steps per second with the change over without, at most; 1 where the step hides it."""
        return self.interval_ms / max(self.interval_ms, self.today_ms + self.added_ms)

    @property
    def words(self) -> str:
        """The price, after what is saved."""
        after = self.today_ms + self.added_ms
        return (
            f"; slower: {milliseconds(self.today_ms)} + {milliseconds(self.added_ms)} of Python calls = at least "
            f"{milliseconds(after)} for a batch that takes {milliseconds(self.interval_ms)} now, at most "
            f"{ratio_text(self.speedup)}"
        )


def slower(view: PipelineView, stage: StageView, added_ms: float) -> Slower | None:
    """The price of ``added_ms`` per batch in place of a stage.

    Args:
        stage: The stage that it comes to, which keeps its own time: what takes its place is not known to be faster.
        added_ms: Milliseconds per batch, on the clock.

    Returns:
        ``None`` without measured steps, and where it is not known which thread runs the stage.
    """
    at = timing(view)
    if at is None:
        return None
    for row in rows(view, at):
        if any(member.id == stage.id for member in row.stages):
            return Slower(at.interval_ms, total_ms(row.stages) + row.turn_ms, added_ms)
    return None
