"""Calls of the user's in which TensorFlow makes stages that drop elements: what goes in, and what comes out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.lines import lines_of, reader_of
from pipeprof.profiles.wording import call_around

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeprof.profiles.document.stages import Stage


@dataclass(frozen=True)
class UserCall:
    """Stages of one call.

    Attributes:
        last: Gives the elements that come out.
        fed_by: The stages whose elements go in, all copies of each.
    """

    last: Stage
    members: frozenset[str]
    fed_by: tuple[Stage, ...]


def dropping_calls(stages: Iterable[Stage]) -> list[UserCall]:
    """Return the calls that made stages of other names, where these drop elements and make no batches of them."""
    lines = lines_of(stages)
    found: dict[str, list[Stage]] = defaultdict(list)
    for stage in (stage for line in lines.values() for stage in line):
        if stage.library is None and call_around(stage.op, stage.location) is not None:
            found[str(stage.location)].append(stage)
    parts = [part for group in found.values() for part in _connected(lines, group)]
    return [_call(lines, part) for part in parts if _drops(part)]


def _drops(group: Sequence[Stage]) -> bool:
    rows = [traits(stage.op) for stage in group]
    return any(row.drops for row in rows) and not any(row.stacks or row.unbatches or row.opens for row in rows)


def _connected(lines: dict[str, list[Stage]], group: Sequence[Stage]) -> list[list[Stage]]:
    """Divide the stages of one place into its calls: in each, stages read each other's elements."""
    reads = {stage.id: {one.id for one in _read(lines, stage)} for stage in group}
    calls: list[set[str]] = []
    for stage in group:
        near = [call for call in calls if call & reads[stage.id] or any(stage.id in reads[one] for one in call)]
        calls = [call for call in calls if call not in near]
        calls.append({stage.id}.union(*near))
    return [[stage for stage in group if stage.id in call] for call in calls]


def _read(lines: dict[str, list[Stage]], stage: Stage) -> list[Stage]:
    """Return the stages whose elements a stage takes: the one before it, and the last of each further input."""
    line = lines[pipeline_of(stage.id)]
    sides = [side[-1] for pipeline, side in lines.items() if reader_of(pipeline) == stage.id]
    return [*line[: line.index(stage)][-1:], *sides]


def _call(lines: dict[str, list[Stage]], group: Sequence[Stage]) -> UserCall:
    least, members = min(stage.depth for stage in group), frozenset(stage.id for stage in group)
    fed_by = tuple(one for stage in group for one in _read(lines, stage) if one.id not in members)
    return UserCall([stage for stage in group if stage.depth == least][-1], members, fed_by)


def count_inputs(stages: Sequence[Stage]) -> None:
    """Write into the last stage of each such call how many elements go into the call for one that comes out.

    A dataset that the call reads several times makes its elements as often.
    """
    for call in dropping_calls(stages):
        taken: dict[str, int] = defaultdict(int)
        for stage in call.fed_by:
            taken[stage.same_as or stage.id] += stage.elements or 0
        if call.last.elements and any(taken.values()):
            call.last.inputs_each = max(taken.values()) / call.last.elements
            call.last.inputs_each_by = "counters"
