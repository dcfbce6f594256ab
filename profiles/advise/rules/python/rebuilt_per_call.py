"""``rebuilt-per-call``: objects that a Python function builds again for each element."""

from __future__ import annotations

from pipeprof.pipelines.static.imports import may_be_of_chance
from pipeprof.profiles.advise.edits.own_python import Eager, without_eager
from pipeprof.profiles.advise.edits.row_batches import lines_once
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.hot_lines import PYTHON_SHARE, TIME_SHARE, OfHotLine
from pipeprof.profiles.propose.proposal import Semantics
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import HotSpot, PipelineView, StageView


class RebuiltPerCall(OfHotLine, Rule):
    """Objects that a Python function builds again for each element.

    Seen:
        Much of the time inside the pipeline's Python passes in what does not depend on the element: a call of a class,
        a function or a reader of a file, or a table that is built, in the function that a map or a generator calls, or
        in a function that this one calls. Nothing of the element goes into it, and nothing changes it afterwards.

    Why:
        Augmentations, tokenizers, compiled expressions and open files are made to be used many times. Building three
        transforms of albumentations took four times as long as applying them to a picture of 28 by 28.

    Fix:
        Build the object once, before the function, and use it in the function.

    Ignore when:
        The object keeps a state that must not live longer than one call.
    """

    name = "rebuilt-per-call"
    title = "Build once what is built for each element"
    family = "speed"
    semantics = "same"
    thresholds = (PYTHON_SHARE, TIME_SHARE)
    kinds = frozenset({"built-anew"})
    keeps_work = False

    def title_of(self, spot: HotSpot) -> str:
        """Name the call."""
        return f"Build {_short(spot.call.text)} once, not in each call of {spot.call.function}"

    def what(self, spot: HotSpot) -> str:
        """State that it is the same each time."""
        del spot
        return "makes the same object in each call"

    def fix_of(self, spot: HotSpot, stage: StageView, code: str) -> str:
        """Name the variable, or the lines."""
        del code
        call, once = spot.call, spot.call.once
        if once is None:
            return f"Make {_short(call.text)} once, outside of {call.function}(): it needs nothing of an element"
        if not once.used:
            return f"Move {once.replaced} out of {call.function}(), to a place where they run once: {once.where}"
        eager = self.more(spot, stage)
        more = f"; {eager.text}" if eager is not None else ""
        return f"Write `{once.lines[-1]}` {once.where}, and `{once.used}` in line {call.line}{more}"

    def python_of(self, spot: HotSpot, stage: StageView, view: PipelineView) -> str:
        """The lines that make it once, and the one in the function."""
        del view
        eager, lines = self.more(spot, stage), lines_once(spot.call)
        return "\n".join([*lines, *(eager.lines if eager is not None and lines else ())])

    def effect(self, spot: HotSpot, code: str) -> Semantics | None:
        """One object that draws random numbers goes on with them, where each new one began anew."""
        if code and may_be_of_chance(file_text(spot.location.file), spot.call.text):
            return "randomness"
        return super().effect(spot, code)

    def more(self, spot: HotSpot, stage: StageView) -> Eager | None:
        """Return TensorFlow calls of the same function, where they are much of the time that is left of it."""
        eager = without_eager(stage.measured, spot.call.line) if stage.measured is not None else None
        left = 1 - spot.share
        return eager if eager is not None and eager.share >= PYTHON_SHARE.value * left > 0 else None

    def saved(self, spot: HotSpot, stage: StageView) -> float:
        """The share of both; of ops that are run one by one, which release the GIL, what they hold of it.

        The rest of their time they wait for other calls. With it, 20x would be predicted where 5x were measured.
        """
        eager = self.more(spot, stage) if spot.call.once is not None and spot.call.once.used else None
        costs = (stage.measured.python if stage.measured is not None else None) or ()
        held = max((cost.lock_share or 0.0 for cost in costs), default=0.0) or 1.0
        return spot.share + (eager.share * held if eager is not None else 0.0)


def _short(text: str) -> str:
    return f"{text.partition('(')[0]}(…)" if len(text) > 30 else text
