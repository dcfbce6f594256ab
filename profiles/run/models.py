"""The model's snapshots of the measured window, on each of the iterators that it ran through.

An iterator that ends takes its counters with it, and drops its inputs some batches before that. So the model is looked
at with every look at the loop, and a snapshot counts only if it still shows every kind of iterator that was seen. A
bounded number of them is kept, because inner iterators of an interleave come and go between two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.graph.snapshots import RawSnapshot, take_snapshot

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.records import ModelDict
    from pipeprof.profiles.run.loop import Feed

MOST = 60
_NEW: ModelDict = {"output": 0, "nodes": [], "gap_times_us": [], "cpu_budget": 0.0, "ram_budget": 0.0}


@dataclass(frozen=True)
class _Seen:
    stretch: int
    steps: int
    snapshot: RawSnapshot | None

    def record(self) -> ModelDict:
        return self.snapshot.to_dict() if self.snapshot is not None else _NEW


class ModelLog:
    """Collects snapshots while the loop runs, and gives them out as plain records afterwards."""

    def __init__(self) -> None:
        self._stretch = 0
        self._kept: list[_Seen] = []
        self._latest: _Seen | None = None
        self._every = 1
        self._looks = 0
        self._kinds = 0

    def parameters(self, feed: Feed | None) -> tuple[Any, ...] | None:
        """What AUTOTUNE has set now; `None` without a model or without anything to tune."""
        snapshot = take_snapshot(feed.iterator) if feed is not None else None
        return (snapshot.parameters() or None) if snapshot is not None else None

    def look(self, feed: Feed | None) -> ModelDict | None:
        """The model as it is now, as a plain record."""
        snapshot = take_snapshot(feed.iterator) if feed is not None else None
        return snapshot.to_dict() if snapshot is not None else None

    def begin(self, feed: Feed) -> None:
        """The measured window begins on the feed's iterator."""
        self._kept = [_Seen(0, 0, take_snapshot(feed.iterator))]

    def observe(self, feed: Feed, steps: int) -> None:
        """Look at the model after `steps` measured steps."""
        snapshot = take_snapshot(feed.iterator)
        if snapshot is None:
            return
        kinds = len({node.name for node in snapshot.proto.nodes.values()})
        if kinds < self._kinds:
            return
        self._kinds = kinds
        self._latest = _Seen(self._stretch, steps, snapshot)
        self._looks += 1
        if self._looks % self._every == 0:
            self._keep(self._latest)

    def restart(self, steps: int) -> None:
        """The feed goes on with a new iterator, whose counters start at nothing."""
        self._keep_latest()
        self._stretch += 1
        self._keep(_Seen(self._stretch, steps, None))

    def _keep_latest(self) -> None:
        if self._latest is not None and self._latest is not self._kept[-1]:
            self._kept.append(self._latest)
        self._latest = None

    def _keep(self, seen: _Seen) -> None:
        self._kept.append(seen)
        if len(self._kept) > MOST:
            ends = {
                id(one)
                for a, b in zip(self._kept, self._kept[1:], strict=False)
                if a.stretch != b.stretch
                for one in (a, b)
            }
            self._kept = [one for n, one in enumerate(self._kept) if n % 2 == 0 or id(one) in ends][-4 * MOST :]
            self._every *= 2

    def segments(self) -> list[dict[str, Any]]:
        """Pairs of snapshots of one iterator each, in order, with the batches in between."""
        self._keep_latest()
        records = [(seen, seen.record()) for seen in self._kept]
        return [
            {"first": before, "last": after, "batches": end.steps - start.steps}
            for (start, before), (end, after) in pairwise(records)
            if start.stretch == end.stretch and end.snapshot is not None and end.steps > start.steps
        ]
