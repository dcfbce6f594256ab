"""Calls in place of a pipeline's stages, as the user's file is to have them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pipeprof.pipelines.static.edit.statement import variable_of, with_calls
from pipeprof.profiles.advise.edits.snippets import in_place_of
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.wording import NamedStage, listed, place_of

_STANDS_ON = re.compile(r"^dataset = (dataset(?=\.))?", re.MULTILINE)
"""Lines of code on a name that stands for the user's."""


def in_place(
    texts: Mapping[str, str],
    stages: Sequence[NamedStage],
    calls: str,
    *,
    source: bool = False,
    variable: str = "dataset",
) -> str:
    """Return a line that has other calls in place of stages that follow each other.

    It is the statement of the user's file as it is then. Where the file does not show that, as where a stage is made in
    another function, it is the calls alone; without a file, they stand on a variable.

    Args:
        texts: Of the user's files, by their names.
        stages: In the order of the data.
        calls: From the first dot on.
        source: Whether the first stage is a source; `calls` is then a whole expression.
        variable: What the dataset is called where no file is known.
    """
    own = own_statement(texts, stages, calls, source=source)
    if own is not None:
        return own
    where = in_place_of(stages)
    place = stages[0].location
    if place is not None and texts.get(place.file) and not source:
        return f"{calls}{where}"
    return f"{variable} = {'' if source else variable}{calls}{where}"


def own_statement(
    texts: Mapping[str, str], stages: Sequence[NamedStage], calls: str, *, source: bool = False, after: bool = False
) -> str | None:
    """Return the statement of the user's file with other calls in place of stages; None where it shows none.

    Args:
        after: Whether they come after the stages, which then stay.
    """
    first = stages[0].location if stages else None
    if first is None or not texts.get(first.file):
        return None
    places = []
    for stage in stages:
        if stage.location is None or stage.location.file != first.file:
            return None
        places.append((stage.location.line, stage.location.column, stage.location.call or stage.op))
    made = with_calls(texts[first.file], list(dict.fromkeys(places)), calls, source=source, after=after)
    return f"{made.text}  # in place of {_lines(first, made.spans)}" if made is not None else None


def on_own_name(code: str, text: str, place: Location | None, op: str) -> str:
    """Return code with the user's name for the dataset, where lines stand on `dataset` and the file has another one.

    Args:
        text: Of the file.
        place: The call whose dataset it is.
        op: Of the stage that the call makes.
    """
    if place is None or not text or not _STANDS_ON.search(code):
        return code
    name = variable_of(text, (place.line, place.column, place.call or op))
    return _STANDS_ON.sub(lambda found: f"{name} = {name if found[1] else ''}", code) if name is not None else code


def _lines(place: Location, spans: Sequence[tuple[int, int]]) -> str:
    """Where statements stand: ``input.py:12``, ``lines 12 to 14``, ``lines 12 and 16``."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted({*spans}):
        if joined and joined[-1][1] + 1 == first:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    if len(joined) == 1 and joined[0][0] == joined[0][1]:
        return str(place_of(place.model_copy(update={"line": joined[0][0]})))
    return f"lines {listed([f'{a} to {b}' if a < b else str(a) for a, b in joined])}"
