"""``rebuilt-per-call``: objects that a Python function builds again for each element."""

from __future__ import annotations

from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.hot_lines import PYTHON_SHARE, TIME_SHARE, OfHotLine
from pipeprof.profiles.view.view import HotSpot, StageView


class RebuiltPerCall(OfHotLine, Rule):
    """Objects that a Python function builds again for each element.

    Seen:
        Much of the time inside the pipeline's Python passes in a call that does not depend on the element: a function
        without arguments, a class or an open file in the body of the function that a map or a generator calls.

    Why:
        Augmentations, tokenizers, compiled expressions and open files are made to be used many times. Building three
        transforms of albumentations took four times as long as applying them to a picture of 28 by 28.

    Fix:
        Build the object once, at the top of the file, and use it in the function.

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

    def fix_of(self, spot: HotSpot, stage: StageView) -> str:
        """Name the variable."""
        del stage
        name = _variable(spot)
        return f"Write `{name} = {spot.call.text}` at the top of the file, and `{name}` in line {spot.call.line}"

    def python_of(self, spot: HotSpot, stage: StageView) -> str:
        """The line at the top, and the one in the function."""
        del stage
        name, call = _variable(spot), spot.call
        return (
            f"{name} = {call.text}  # once, at the top of the file\n"
            f"# line {call.line}, in {call.function}(): {name} in the place of {_short(call.text)}"
        )


def _short(text: str) -> str:
    return f"{text.partition('(')[0]}(…)" if len(text) > 30 else text


def _variable(spot: HotSpot) -> str:
    name = spot.call.text.partition("(")[0].rpartition(".")[2]
    return name.upper() if name.isidentifier() else "ONCE"
