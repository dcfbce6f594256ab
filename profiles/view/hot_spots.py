"""The lines of Python that take much of a run's time, and what the user's files show of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from pipeprof.pipelines.static.hot_calls import HotCall, builders, hot_call
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import PythonCost, Stage
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import HotSpot

_Built: TypeAlias = dict[str, list[tuple[HotCall, list[range]]]]
HOT_FROM = 0.2
"""Share of the time inside Python functions from which a line is looked at."""


def hot_spots(stages: Iterable[Stage]) -> tuple[HotSpot, ...]:
    """Return what hot lines do; files that cannot be read show nothing."""
    return tuple(spot for stage in stages if stage.python for spot in _spots(stage, stage.python))


def _spots(stage: Stage, costs: list[PythonCost]) -> Iterator[HotSpot]:
    """The spots of a stage, one for a line."""
    seen: set[tuple[str, int]] = set()
    files = {cost.file: file_text(cost.file) for cost in costs if cost.file is not None}
    built = {file: builders(text) for file, text in files.items()}
    for file, call, share in (*_builders(costs, built), *_lines(costs, files, built)):
        if share >= HOT_FROM and (file, call.line) not in seen:
            seen.add((file, call.line))
            yield HotSpot(stage.id, call, Location(file=file, line=call.line, column=1), share)


def _builders(costs: list[PythonCost], built: _Built) -> Iterator[tuple[str, HotCall, float]]:
    """Calls of functions that are the same each time, with the time of all that they lead to."""
    for file, found in built.items():
        seen = [(line, share) for cost in costs if cost.file == file for line, share in _shares(cost)]
        for call, ranges in found:
            yield file, call, sum(share for line, share in seen if any(line in lines for lines in ranges))


def _lines(costs: list[PythonCost], files: dict[str, str], made: _Built) -> Iterator[tuple[str, HotCall, float]]:
    """What lines do, each with the time in it alone."""
    for cost in costs:
        if cost.share < HOT_FROM or cost.file is None:
            continue
        built = [lines for _, ranges in made[cost.file] for lines in ranges]
        found: dict[HotCall, float] = {}
        for line, share in _shares(cost):
            call = hot_call(files[cost.file], cost.function, line)
            # What such a function does is gone with its call.
            if call is not None and not any(line in lines for lines in built):
                found[call] = found.get(call, 0.0) + share
        yield from ((cost.file, call, share) for call, share in found.items())


def _shares(cost: PythonCost) -> list[tuple[int, float]]:
    """The lines of a function, each with its share of the time inside Python."""
    lines = cost.lines or ([(cost.line, 1.0)] if cost.line is not None else [])
    return [(line, cost.share * share) for line, share in lines]
