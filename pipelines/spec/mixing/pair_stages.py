"""Stages of two lists that belong together: by name, by op and order, and those that were moved. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        moved: Stages that both have at another place: the index in B by that in A.
        replaced: Stages of A and of B that take each other's place, as numbers of slots.
    """

    slots: tuple[PairedStage, ...]
    moved: Mapping[int, int]
    replaced: tuple[tuple[int, ...], ...]


def pair_stages(a: Sequence[Any], b: Sequence[Any]) -> PairedStages:
    """Merge two lists of stages.

    Args:
        a: Stages as a spec's data has them.
        b: Those of the other one.

    Example:
        >>> pair_stages([{"batch": {}}], [{"cache": None}, {"batch": {}}]).slots
        (PairedStage(a=None, b=0), PairedStage(a=0, b=1))
    """
    slots: list[PairedStage] = []
    gaps: list[list[int]] = []
    for tag, start, end, other, other_end in _opcodes([_key(stage) for stage in a], [_key(stage) for stage in b]):
        if tag == "equal":
            slots += map(PairedStage, range(start, end), range(other, other_end))
            continue
        for kind, low, high, low_b, high_b in _opcodes(
            [_op(stage) for stage in a[start:end]], [_op(stage) for stage in b[other:other_end]]
        ):
            mine, theirs = range(start + low, start + high), range(other + low_b, other + high_b)
            if kind == "equal":
                slots += map(PairedStage, mine, theirs)
                continue
            first = len(slots)
            slots += [PairedStage(index, None) for index in mine]
            slots += [PairedStage(None, index) for index in theirs]
            gaps.append(list(range(first, len(slots))))
    moved = _moved(slots, a, b)
    taken = {PairedStage(one, None) for one in moved} | {PairedStage(None, other) for other in moved.values()}
    replaced = [_exchanged([at for at in gap if slots[at] not in taken], slots, a, b) for gap in gaps]
    return PairedStages(tuple(slots), moved, tuple(filter(None, replaced)))


def _opcodes(a: Sequence[Any], b: Sequence[Any]) -> list[tuple[str, int, int, int, int]]:
    return list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())


def _moved(slots: Sequence[PairedStage], a: Sequence[Any], b: Sequence[Any]) -> dict[int, int]:
    """Pair stages that were left alone: of the same name, of the same content, or that pass elements on."""
    mine = [slot.a for slot in slots if slot.b is None and slot.a is not None]
    theirs = [slot.b for slot in slots if slot.a is None and slot.b is not None]
    found: dict[int, int] = {}
    for fits in (_same_name, _same_content, _both_pass):
        for one in mine:
            other = next(
                (index for index in theirs if index not in found.values() and fits(a[one], b[index])),
                None,
            )
            if one not in found and other is not None:
                found[one] = other
    return found


def _same_name(one: Any, other: Any) -> bool:
    return _key(one) == _key(other) and _key(one)[1] is not None


def _same_content(one: Any, other: Any) -> bool:
    return _op(one) == _op(other) and unnamed(one) == unnamed(other)


def _both_pass(one: Any, other: Any) -> bool:
    return _op(one) == _op(other) and traits(_op(one)).passes


def _exchanged(gap: Sequence[int], slots: Sequence[PairedStage], a: Sequence[Any], b: Sequence[Any]) -> tuple[int, ...]:
    """Stages at one place that give other elements: those of A and those of B are one change, not two."""
    found = [at for at in gap if not traits(_op(_stage(slots[at], a, b))).passes]
    sides = {slots[at].a is None for at in found}
    return tuple(found) if len(sides) == 2 else ()


def _stage(slot: PairedStage, a: Sequence[Any], b: Sequence[Any]) -> Any:
    return a[slot.a] if slot.a is not None else b[slot.b or 0]


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
