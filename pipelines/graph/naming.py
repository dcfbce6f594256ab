"""Addresses of stages from the names of a spec's datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pipeprof.pipelines.addresses import address_of, pipeline_of
from pipeprof.pipelines.meaning.traits import traits


@dataclass(frozen=True)
class Group:
    """Datasets that form one stage."""

    nodes: tuple[str, ...]
    op: str
    feeds: tuple[str, ...]
    """Nodes of other stages that it reads; the first continues its line unless ``sides``."""
    bodies: tuple[str, ...]
    sides: bool = False


@dataclass(frozen=True)
class Names:
    """Interpretation of the dataset names in a graph."""

    given: bool
    """Whether they are a spec's addresses."""
    ops: Mapping[str, str] | None
    """The ops of the spec by address, if they are known."""

    def side(self, address: str, number: int) -> str:
        """Prefix of the addresses of a further input."""
        op = (self.ops or {}).get(address)
        if op is None:
            return f"{address}.inputs.{number}."
        if address.rpartition(".")[2] != "source":
            return f"{address}.dataset."
        if traits(op).chooses:
            return f"{address}.choice_dataset." if number == 0 else f"{address}.datasets.{number - 1}."
        return f"{address}.datasets.{number}."

    @cached_property
    def _by_pipeline(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for address in self.ops or {}:
            found.setdefault(pipeline_of(address), []).append(address)
        return found

    def line(self, prefix: str, own: list[str | None], marked: set[str]) -> Free:
        """Return the addresses of a line in order; ``marked`` are those of options, which are no stages."""
        pipeline = prefix.removesuffix(".")
        found = [address for address in self._by_pipeline.get(pipeline, ()) if address not in marked]
        return Free([*sorted(found, key=position)], {name for name in own if name is not None})


@dataclass
class Free:
    """Addresses of a line that no dataset carries yet."""

    left: list[str]
    own: set[str]

    def before(self, address: str | None) -> list[str]:
        """Remove and return the free addresses before ``address``; all if it is None."""
        if address is not None and address not in self.left:
            return []
        end = len(self.left) if address is None else self.left.index(address)
        free = [name for name in self.left[:end] if name not in self.own]
        self.left = self.left[end + 1 :]
        return free


def position(address: str) -> int:
    """Return the place in its pipeline: the source first."""
    last = address.rpartition(".")[2]
    return int(last) if last.isdigit() else -1


def address_in(key: str | None) -> str | None:
    """Return the address encoded in the name ``key``, or None."""
    if key is None:
        return None
    try:
        return address_of(key)
    except ValueError:
        return None


def by_place(groups: list[Group], own: list[str | None], prefix: str) -> Iterator[tuple[str, Group]]:
    """Yield groups with their own addresses, else those of their place, unless another one carries it."""
    part: tuple[str, ...] = ()
    number = -1
    for address, group in zip(own, groups, strict=True):
        place = address or (f"{prefix}source" if number < 0 else f"{prefix}stages.{number}")
        if address is None and place in own:
            part = (*part, *group.nodes)
            continue
        number = position(place) + 1
        yield place, replace(group, nodes=(*part, *group.nodes))
        part = ()
