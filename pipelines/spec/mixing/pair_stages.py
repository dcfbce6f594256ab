"""Stages of two lists that belong together: by name, by op and order, and those that were moved. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.yaml.tree import operation_key


class PairedStage(NamedTuple):
    """A stage of A, of B or of both, as indices; those of both are at the same place of the merged list."""

    a: int | None
    b: int | None


@dataclass(frozen=True)
class PairedStages:
    """Two lists of stages as one.

    Attributes:
        slots: In an order in which the stages of A are as in A, and those of B as in B.
        replaced: Stages of A and of B that take each other's place, as numbers of slots.
    """

    slots: tuple[PairedStage, ...]
    moved: Mapping[int, int]
    replaced: tuple[tuple[int, ...], ...]


def pair_stages(a: Sequence[Any], b: Sequence[Any]) -> PairedStages:
    """Merge two lists of stages.

    Example:
        >>> pair_stages([{"batch": {}}], [{"cache": None}, {"batch": {}}]).slots
        (PairedStage(a=None, b=0), PairedStage(a=0, b=1))
    """
    blocks = list(_blocks(a, b))
    gaps = [block for block in blocks if isinstance(block, _Gap)]
    mine = [index for gap in gaps for index in gap.a]
    theirs = [index for gap in gaps for index in gap.b]
    moved: dict[int, int] = {}
    for fits in (_same_name, _same_content, _both_pass):
        for one in mine:
            other = next((index for index in theirs if index not in moved.values() and fits(a[one], b[index])), None)
            if one not in moved and other is not None:
                moved[one] = other
    slots: list[PairedStage] = []
    replaced: list[tuple[int, ...]] = []
    for block in blocks:
        if isinstance(block, _Gap):
            group = _emit(block, moved, a, b, slots)
            replaced += [group] if group else []
        else:
            slots.append(block)
    return PairedStages(tuple(slots), moved, tuple(replaced))


class _Gap(NamedTuple):
    """Stages of A and of B between stages that both have."""

    a: Sequence[int]
    b: Sequence[int]


def _blocks(a: Sequence[Any], b: Sequence[Any]) -> Iterator[PairedStage | _Gap]:
    """Stages of the same name and op, between them those of the same op, and what is left."""
    for tag, start, end, other, other_end in _opcodes([_key(stage) for stage in a], [_key(stage) for stage in b]):
        if tag == "equal":
            yield from map(PairedStage, range(start, end), range(other, other_end))
            continue
        for kind, low, high, low_b, high_b in _opcodes(
            [_op(stage) for stage in a[start:end]], [_op(stage) for stage in b[other:other_end]]
        ):
            mine, theirs = range(start + low, start + high), range(other + low_b, other + high_b)
            if kind == "equal":
                yield from map(PairedStage, mine, theirs)
            else:
                yield _Gap(mine, theirs)


def _emit(
    gap: _Gap, moved: Mapping[int, int], a: Sequence[Any], b: Sequence[Any], slots: list[PairedStage]
) -> tuple[int, ...]:
    """Add the stages of a gap; return the slots of those that take each other's place.

    These are at one place, so that stages before and after them stay before and after them, whichever are chosen.
    """
    own = [index for index in gap.a if index not in moved and not traits(_op(a[index])).passes]
    other = [index for index in gap.b if index not in moved.values() and not traits(_op(b[index])).passes]
    if not own or not other:
        slots += [PairedStage(index, None) for index in gap.a]
        slots += [PairedStage(None, index) for index in gap.b]
        return ()
    slots += [PairedStage(index, None) for index in gap.a if index < own[0]]
    slots += [PairedStage(None, index) for index in gap.b if index < other[0]]
    first = len(slots)
    slots += [PairedStage(index, None) for index in gap.a if own[0] <= index <= own[-1]]
    slots += [PairedStage(None, index) for index in gap.b if other[0] <= index <= other[-1]]
    members = {*(PairedStage(index, None) for index in own), *(PairedStage(None, index) for index in other)}
    found = tuple(at for at in range(first, len(slots)) if slots[at] in members)
    slots += [PairedStage(index, None) for index in gap.a if index > own[-1]]
    slots += [PairedStage(None, index) for index in gap.b if index > other[-1]]
    return found


def _opcodes(a: Sequence[Any], b: Sequence[Any]) -> list[tuple[str, int, int, int, int]]:
    return list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())


def _same_name(one: Any, other: Any) -> bool:
    return _key(one) == _key(other) and _key(one)[1] is not None


def _same_content(one: Any, other: Any) -> bool:
    return _op(one) == _op(other) and unnamed(one) == unnamed(other)


def _both_pass(one: Any, other: Any) -> bool:
    return _op(one) == _op(other) and traits(_op(one)).passes


def _op(stage: Any) -> str:
    return str(operation_key(stage) or "?")


def _key(stage: Any) -> tuple[str, str | None]:
    return _op(stage), name_of(stage)


def name_of(stage: Any) -> str | None:
    """The name that a stage has among its arguments; None without one."""
    arguments = stage.get(operation_key(stage)) if isinstance(stage, dict) else None
    name = arguments.get("name") if isinstance(arguments, dict) else None
    return str(name) if name is not None else None


def unnamed(stage: Any) -> Any:
    """A stage without its name."""
    if name_of(stage) is None:
        return stage
    key = operation_key(stage)
    return {key: {name: value for name, value in stage[key].items() if name != "name"}}
