"""Where caches would keep what each of several joined datasets makes anew in each epoch: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.verify.guessing.caching import LONGEST_EPOCH, CachePoint, cache_point
from pipeprof.profiles.verify.stages import joined_lines, main_line, within

SOME_WORK = 0.05
"""Share of the pipeline's work from which what a stage of a joined dataset makes is worth a cache."""


def cache_points(profile: Profile, limit: int | None, longest: float = LONGEST_EPOCH) -> tuple[CachePoint, ...]:
    """Return where the datasets that one stage joins can keep what their slowest stages make; empty where none can.

    Args:
        limit: Memory limit in bytes, for all caches together; None for none.
        longest: Seconds of an epoch that a trial can wait for.
    """
    for lines in joined_lines(profile, main_line(profile)):
        each = limit // len(lines) if limit is not None else None
        points = [_point(profile, line, each, longest) for line in lines]
        found = tuple(point for point in points if point is not None)
        # Elements that belong together stay together only in the order in which they are.
        if found and (_takes_one_of(profile, lines) or all(point.semantics == "same" for point in found)):
            return found
    return ()


def _point(profile: Profile, line: Sequence[Stage], limit: int | None, longest: float) -> CachePoint | None:
    place = max(range(len(line)), key=lambda one: line[one].share or 0.0)
    if (line[place].share or 0.0) < SOME_WORK:
        return None
    return cache_point(profile, line, place, limit, longest)


def _takes_one_of(profile: Profile, lines: Sequence[Sequence[Stage]]) -> bool:
    """Whether an element of the stage that joins datasets is one of theirs, and not made of one of each."""
    owners = (one for one in profile.stages or () if within(lines[0][0].id, one.id))
    op = max(owners, key=lambda one: len(one.id)).op
    return traits(op).combines and not traits(op).one_to_one
