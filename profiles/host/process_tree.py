"""Memory of a process family (a process and its descendants), each page counted once.

The memory of a family is

- anonymous pages: a fork shares them until one of the two writes. Only a family shares them, so that the sum of the
  proportional shares is exact;
- shared memory: the same sum, and no less than what the parent maps of it;
- pages of files: those of the parent; of children, the libraries that the parent does not map and else what only one of
them maps. Proportional shares would not do: TensorFlow's libraries are divided among all processes of the
  machine that map them, also those of others.

The shares cost the kernel a walk over all pages, some 5 ms per gigabyte. Between two walks the parent's resident memory
is exact, a child's growth is new memory, and a child that ends takes its own with it. What these rules do not cover (a
child forked from a large parent, released memory that may have been shared) triggers the next walk at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from pipeprof.profiles.host.procfs import Pages, Shares

WALK_EVERY = 0.5
WALK_EVERY_NEAR_LIMIT = 0.25
WALK_SHARE = 0.01
"""Largest share of the time for walks."""
WALK_SHARE_IN_DOUBT = 0.04
"""The same near the limit, and while no cheaper reading shows the memory held."""
WALK_SHARE_RARELY = 0.0003
"""The same of a run of hours, but near the limit."""
DOUBT_BYTES = 16_000_000
"""Bytes that may be uncertain until the next walk: a percent or two of a process with TensorFlow."""


class Walker(Protocol):
    """Reader of the sharing of a process's pages."""

    def shares(self, pid: int) -> Shares | None:
        """Return the private and shared parts of its memory; ``None`` if unavailable."""

    def libraries(self, pid: int) -> Mapping[str, int]:
        """Resident bytes of each library that it maps."""


def family_bytes(parent: int, pages: Mapping[int, Pages], shares: Mapping[int, Shares], libraries: int = 0) -> int:
    """Return the memory of a family, each page once; of a process without shares all resident bytes.

    Args:
        pages: Of each process by its id.
        shares: The same, as far as they could be read.
        libraries: Bytes of libraries that children map and the parent does not.
    """
    held, own = pages[parent], shares.get(parent)
    children = [shares[pid] for pid in pages if pid != parent and pid in shares]
    unknown = sum(one.rss_bytes for pid, one in pages.items() if pid != parent and pid not in shares)
    if own is None or own.anonymous is None:
        return held.rss_bytes + sum(child.private for child in children) + unknown
    anonymous = sum(process.anonymous or 0 for process in (own, *children))
    shared = sum(process.shared_memory for process in (own, *children)) - own.resident_shared_memory
    files = max(libraries, sum(child.private_files for child in children))
    return held.rss_bytes + max(0, anonymous - held.anonymous_bytes) + max(0, shared) + files + unknown


@dataclass(frozen=True)
class _PageWalk:
    """Result of a walk over the pages of a process family.

    Attributes:
        at: Time of the walk, in seconds.
        took: CPU seconds of the walk.
        private: Bytes of it that no other process mapped, by process.
        children: What the children added to the parent's resident memory.
    """

    at: float
    took: float
    pages: Mapping[int, Pages]
    private: Mapping[int, int]
    children: int

    def since(self, parent: int, pages: Mapping[int, Pages]) -> tuple[int, int]:
        """Return the bytes that the children add to the parent's now, and how many of these are uncertain."""
        added, doubt = self.children, 0
        for pid, before in self.pages.items():
            now = pages.get(pid)
            if now is None:
                added -= self.private[pid]
                doubt += max(0, before.rss_bytes - self.private[pid])
                continue
            grown = now.anonymous_bytes - before.anonymous_bytes
            doubt += max(0, -grown) + abs(now.mapped_bytes - before.mapped_bytes)
            if pid != parent:
                added += max(grown, -self.private[pid])
        for pid in pages.keys() - self.pages.keys():
            # A fork starts with its parent's pages; only bytes beyond these must be its own.
            added += max(0, pages[pid].anonymous_bytes - pages[parent].anonymous_bytes)
            doubt += pages[pid].anonymous_bytes
        return max(0, added), doubt


class _Libraries:
    """Libraries that only children map. They appear with imports, so they are read only after growth."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._of: dict[int, Mapping[str, int]] = {}
        self._at: dict[int, int] = {}

    def bytes(self, parent: int, pages: Mapping[int, Pages]) -> int:
        """Resident bytes of all of them, each library once."""
        for pid in self._at.keys() - pages.keys():
            del self._at[pid]
            self._of.pop(pid, None)
        changed = {pid for pid, one in pages.items() if abs(one.mapped_bytes - self._at.get(pid, 0)) >= DOUBT_BYTES}
        if changed - {parent} and parent not in self._at:
            changed.add(parent)
        for pid in changed:
            self._at[pid] = pages[pid].mapped_bytes
            self._of[pid] = self._walker.libraries(pid)
        theirs: dict[str, int] = {}
        for pid in self._of.keys() - {parent}:
            for library, size in self._of[pid].items():
                theirs[library] = max(theirs.get(library, 0), size)
        own = self._of.get(parent, {})
        return sum(size for library, size in theirs.items() if library not in own)


class FamilyMemory:
    """Memory of a process family at every sample.

    Args:
        clock: Seconds, monotonic.
        cpu: CPU seconds of this thread, for the cost of a walk.
        rarely: The run lasts for hours.
    """

    def __init__(
        self,
        walker: Walker,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
        *,
        rarely: bool = False,
    ) -> None:
        self._walker = walker
        self._far = (WALK_SHARE_RARELY, WALK_SHARE_RARELY) if rarely else (WALK_SHARE, WALK_SHARE_IN_DOUBT)
        self._clock = clock
        self._cpu = cpu
        self._seen: frozenset[int] = frozenset()
        self._walk: _PageWalk | None = None
        self._libraries = _Libraries(walker)

    def bytes(self, parent: int, pages: Mapping[int, Pages], limit: float | None = None) -> int:
        """Return memory of all, each page once.

        Args:
            pages: Resident memory of each process by its id.
            limit: Bytes from which on walks are taken more often.
        """
        # A child counts from its second sample on: until it starts its program, it may run in its parent's memory.
        mine = {pid: one for pid, one in pages.items() if pid == parent or pid in self._seen}
        self._seen = frozenset(pages)
        if len(mine) < 2:
            if self._walk is not None:
                self._walk = replace(self._walk, pages=mine, private={}, children=0)
            return mine[parent].rss_bytes
        children, doubt = (0, DOUBT_BYTES) if self._walk is None else self._walk.since(parent, mine)
        near = limit is not None and mine[parent].rss_bytes + children > limit
        if self._due(near=near, doubt=doubt >= DOUBT_BYTES):
            self._walk = self._walk_pages(parent, mine)
            children = self._walk.children
        return mine[parent].rss_bytes + children

    def _due(self, *, near: bool, doubt: bool) -> bool:
        if self._walk is None:
            return True
        share = WALK_SHARE_IN_DOUBT if near else self._far[doubt]
        every = 0.0 if doubt else WALK_EVERY_NEAR_LIMIT if near else WALK_EVERY
        return self._clock() - self._walk.at >= max(every, self._walk.took / share)

    def _walk_pages(self, parent: int, pages: Mapping[int, Pages]) -> _PageWalk:
        at, began = self._clock(), self._cpu()
        found = {pid: self._walker.shares(pid) for pid in pages}
        shares = {pid: one for pid, one in found.items() if one is not None}
        added = family_bytes(parent, pages, shares, self._libraries.bytes(parent, pages)) - pages[parent].rss_bytes
        return _PageWalk(
            at=at,
            took=self._cpu() - began,
            pages=pages,
            private={pid: shares[pid].private if pid in shares else one.rss_bytes for pid, one in pages.items()},
            children=added,
        )
