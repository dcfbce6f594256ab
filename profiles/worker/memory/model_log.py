"""Log of model snapshots in the measured window, for each iterator used in it.

An iterator that ends takes its counters with it, and drops its inputs as soon as they have ended, which may be many
batches earlier. So every look at the loop takes a snapshot. For each iterator, the last snapshot that shows every kind
of its inputs is kept, the last of all, and a bounded number in between, because the inner iterators of an interleave
come and go.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.costs.snapshots import RawSnapshot, take_snapshot
from pipeprof.profiles.protocol.messages import CostSegment

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.pipelines.graph.read.records import ModelDict
    from pipeprof.profiles.worker.steps.loop import Feed

MOST = 60
_NEW: ModelDict = {"output": 0, "nodes": [], "ram_budget": 0.0}


@dataclass(frozen=True)
class _ModelLook:
    number: int
    stretch: int
    steps: int
    snapshot: RawSnapshot | None

    def record(self) -> ModelDict:
        return self.snapshot.to_dict() if self.snapshot is not None else _NEW


class ModelLog:
    """Snapshots collected while the loop runs, converted to plain records afterwards."""

    def __init__(self) -> None:
        self._stretch = 0
        self._numbers = count()
        self._kept: list[_ModelLook] = []
        self._ends: set[int] = set()
        self._latest: _ModelLook | None = None
        self._fullest: _ModelLook | None = None
        self._every = 1
        self._looks = 0
        self._kinds = 0

    @property
    def latest(self) -> RawSnapshot | None:
        """The snapshot of the latest look."""
        return self._latest.snapshot if self._latest is not None else None

    def parameters(self, feed: Feed | None) -> tuple[Any, ...] | None:
        """Return the parameters that AUTOTUNE has set; `None` without a model or tunable parameters."""
        snapshot = take_snapshot(feed.iterator) if feed is not None else None
        return (snapshot.parameters() or None) if snapshot is not None else None

    def look(self, feed: Feed | None) -> ModelDict | None:
        """Return the model as it is now, as a plain record."""
        snapshot = take_snapshot(feed.iterator) if feed is not None else None
        return snapshot.to_dict() if snapshot is not None else None

    def begin(self, feed: Feed) -> None:
        """Begin the measured window on the feed's iterator; what was seen before is forgotten."""
        self._kept, self._latest, self._fullest, self._kinds = [], None, None, 0
        self._begin_stretch(0, take_snapshot(feed.iterator))

    def observe(self, feed: Feed, steps: int) -> None:
        """Look at the model after `steps` measured steps."""
        snapshot = take_snapshot(feed.iterator)
        if snapshot is None:
            return
        seen = self._latest = self._take_look(steps, snapshot)
        kinds = len({node.name for node in snapshot.proto.nodes.values()})
        if kinds >= self._kinds:
            self._kinds, self._fullest = kinds, seen
        self._looks += 1
        if self._looks % self._every == 0:
            self._keep(seen)

    def observe_pass(self, feed: Feed, seconds: float, stopped: Callable[[], bool]) -> bool:
        """Begin here and take batches for a while; return whether the dataset ended before that."""
        self.begin(feed)
        ended, batches, until = feed.ended, 0, float("inf")
        while time.perf_counter() < until and not stopped():
            feed.next()
            if feed.ended != ended:
                return True
            # What fills buffers before the first batch is no part of it.
            batches, until = batches + 1, min(until, time.perf_counter() + seconds)
            self.observe(feed, batches)
        return False

    def restart(self, feed: Feed, steps: int) -> None:
        """Note that the feed's iterator ended after `steps` measured steps; the next one's counters start at 0."""
        self.observe(feed, steps)
        self.follow(steps)

    def follow(self, steps: int) -> None:
        """Go on with an iterator that began after `steps` measured steps, with counters that started at 0."""
        self._keep_ends()
        self._stretch += 1
        self._begin_stretch(steps, None)

    def resume(self, feed: Feed, steps: int) -> None:
        """Go on after `steps` measured steps; what happened since the latest look is in no segment."""
        self._keep_ends()
        self._stretch += 1
        self._begin_stretch(steps, take_snapshot(feed.iterator))

    def _begin_stretch(self, steps: int, snapshot: RawSnapshot | None) -> None:
        start = self._take_look(steps, snapshot)
        self._ends.add(start.number)
        self._keep(start)

    def _take_look(self, steps: int, snapshot: RawSnapshot | None) -> _ModelLook:
        return _ModelLook(next(self._numbers), self._stretch, steps, snapshot)

    def _keep_ends(self) -> None:
        """Keep the last complete snapshot of this iterator, and the last one."""
        ends = {seen.number: seen for seen in (self._fullest, self._latest) if seen is not None}
        self._ends |= ends.keys()
        self._kept = sorted({**{seen.number: seen for seen in self._kept}, **ends}.values(), key=lambda one: one.number)
        self._latest = self._fullest = None
        self._kinds = 0

    def _keep(self, seen: _ModelLook) -> None:
        self._kept.append(seen)
        if len(self._kept) > MOST:
            self._kept = [one for n, one in enumerate(self._kept) if n % 2 == 0 or one.number in self._ends]
            self._kept = self._kept[-4 * MOST :]
            self._ends &= {look.number for look in self._kept}
            self._every *= 2

    def segments(self) -> list[CostSegment]:
        """Return pairs of snapshots of one iterator in order, with the batches between them."""
        self._keep_ends()
        records = [(seen, seen.record()) for seen in self._kept]
        return [
            CostSegment(before, after, batches=end.steps - start.steps)
            for (start, before), (end, after) in pairwise(records)
            if start.stretch == end.stretch and end.snapshot is not None
        ]
