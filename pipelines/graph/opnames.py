"""Names of TensorFlow's dataset ops and of the model's nodes, and addresses of stages from the names of datasets.

The op ``ParallelMapDatasetV2`` is ``map`` to its user and ``ParallelMapV2`` in the model; ``RepeatDataset`` is
``ForeverRepeat`` or ``FiniteRepeat`` there. Names are compared by *family*: the op without ``Dataset`` and version
(``ParallelMap``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pipeprof.pipelines.addresses import address_of, pipeline_of
from pipeprof.pipelines.meaning.executed_ops import OPTION_FAMILIES, executed, family
from pipeprof.pipelines.meaning.traits import traits

_VERSION = re.compile(r"V\d+$")
_OF_RUNTIME = re.compile(r"^_(?:Mkl(?:Native)?)?(?:Fused(?!BatchNorm))?(?=[A-Z])")
"""What TensorFlow 2.21 puts before the names of ops that it runs in place of the graph's."""
_GIVEN = re.compile(r"Window|Snapshot(?:Nested)?DatasetReader(?:/.*)?")
_NUMBERED = re.compile(r"(?P<kind>[^:\[]+)\[(?P<number>\d+)\]")
_SELECTS = "DirectedInterleave"
"""Iterators whose first input selects one of the others; that input has no number in an iterator's path."""


def is_option(op: str) -> bool:
    """Return whether ``op`` only marks an option or a check."""
    return family(op) in OPTION_FAMILIES


def in_model(op: str, node_name: str) -> bool:
    """Return whether the model calls an iterator of ``op`` ``node_name``."""
    names = executed(op).in_model
    return node_name in names if names else family(node_name) == family(op)


def graph_op(name: str) -> str:
    """Return the op of the graph for one by its name in a trace: oneDNN, and fusing, give many names of their own.

    Example:
        >>> graph_op("_MklTranspose"), graph_op("_MklNativeFusedConv2D"), graph_op("_FusedMatMul")
        ('Transpose', 'Conv2D', 'MatMul')
        >>> graph_op("DecodeJpeg"), graph_op("_MklFusedBatchNormV3"), graph_op("FusedBatchNormV3")
        ('DecodeJpeg', 'FusedBatchNormV3', 'FusedBatchNormV3')
    """
    return _OF_RUNTIME.sub("", name).lstrip("_")


def is_helper(parent: str, child: str) -> bool:
    """Return whether the model node ``child`` is a part of its parent, as ``MemoryCacheImpl`` is of ``MemoryCache``."""
    return child == f"{parent}Impl" or (parent == "Snapshot" and child.startswith(parent))


def is_closed(node_name: str) -> bool:
    """Return whether a helper reads its elements on its own, so that none of its inputs is the user's."""
    return node_name == "SnapshotReader"


def is_given(node_name: str) -> bool:
    """Return whether such an input-free dataset is a function's argument: a window, or the files of ``Dataset.load``.

    Example:
        >>> is_given("Window"), is_given("SnapshotDatasetReader/_0"), is_given("Range")
        (True, True, False)
    """
    return _GIVEN.fullmatch(node_name) is not None


def plain_path(path: str) -> str:
    """Return an iterator's path without the numbers of inner iterators; those that identify inputs stay.

    Example:
        >>> plain_path("Iterator::Root::Batch::Zip[1]::FlatMap[37]::Range")
        'Iterator::Root::Batch::Zip[1]::FlatMap::Range'
    """
    return _NUMBERED.sub(lambda found: found[0] if traits(found["kind"]).equal_inputs else found["kind"], path)


def numbered_input(part: str) -> int | None:
    """Return the index of the input that a part of an iterator's path leads to; `None` if not given.

    Example:
        >>> numbered_input("Zip[1]"), numbered_input("FlatMap[1]"), numbered_input("DirectedInterleave")
        (1, None, 0)
    """
    if part == _SELECTS:
        return 0
    found = _NUMBERED.fullmatch(part)
    if found is None or not traits(found["kind"]).equal_inputs:
        return None
    return int(found["number"]) + (1 if found["kind"] == _SELECTS else 0)


def argument_names(op: str, inputs: int) -> list[str]:
    """Return TensorFlow's names of the numeric inputs of ``op``; "" for others and unknown ones."""
    row = executed(op)
    head, tail = row.head, row.tail
    if family(op) == "PaddedBatch" and inputs > len(head):
        return [*head, *[""] * (inputs - len(head) - 1), "drop_remainder"]
    if head:
        return [*head, *[""] * (inputs - len(head))][:inputs]
    # The first versions lack the seed generator, the last input.
    first_version = tail[-1:] == ("",) and _VERSION.search(op) is None
    tail = (tail[:-1] if first_version else tail)[-inputs:] if inputs else ()
    return [*[""] * (inputs - len(tail)), *tail]


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
