"""Replacement of the parts that a spec cannot express by calls of the user's own functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.from_python.literals import Folders
from pipeprof.pipelines.from_python.records import Call, Dataset, SourcePlace


@dataclass(frozen=True)
class WrittenOp:
    """A source or stage in spec form, or the reason why there is none.

    Attributes:
        dataset: Number of the dataset that it gives.
        op: TensorFlow's name of a stage; ``source`` for a source.
        item: As the spec writes it; None if a spec cannot express it.
        why: Why it cannot.
        where: The user's line.
        name: TensorFlow's name of it.
        call: Number of the call.
    """

    dataset: int
    op: str
    item: dict[str, Any] | None
    why: str = ""
    where: SourcePlace | None = None
    name: str = ""
    call: int = 0


def covered_parts(steps: Sequence[WrittenOp], users: Sequence[Call], folders: Folders) -> tuple[list[WrittenOp], bool]:
    """Replace the fewest possible steps that cannot be expressed by the user's functions.

    Args:
        steps: From the source on.
        users: Calls of the user's functions that gave a dataset.
        folders: For paths.

    Returns:
        The steps (some may still not be expressible), and whether anything was replaced.
    """
    found = list(steps)
    changed = False
    while True:
        last = max((index for index, step in enumerate(found) if step.item is None), default=None)
        if last is None:
            return found, changed
        better = _apply_function(found, last, users, folders) or _replace_beginning(found, last, users, folders)
        if better is None:
            return found, changed
        found, changed = better, True


def _apply_function(
    steps: list[WrittenOp], untold: int, users: Sequence[Call], folders: Folders
) -> list[WrittenOp] | None:
    """Replace the steps of a dataset-to-dataset function around a stage that cannot be expressed; None for none."""
    numbers = [step.dataset for step in steps]
    best: tuple[int, int, Call] | None = None
    for call in users:
        given = list(call.arguments.values())
        if call.reference is None or not isinstance(call.result, Dataset):
            continue
        if len(given) != 1 or not isinstance(given[0], Dataset):
            continue
        if given[0].id not in numbers or call.result.id not in numbers:
            continue
        first, end = numbers.index(given[0].id), numbers.index(call.result.id)
        if first < untold <= end and (best is None or end - first < best[1] - best[0]):
            best = (first, end, call)
    if best is None:
        return None
    first, end, call = best
    item = {"apply": {"python": folders.reference(str(call.reference))}}
    step = WrittenOp(steps[end].dataset, "apply", item, "", _where(call))
    return [*steps[: first + 1], step, *steps[end + 1 :]]


def _replace_beginning(
    steps: list[WrittenOp], untold: int, users: Sequence[Call], folders: Folders
) -> list[WrittenOp] | None:
    """Replace the first steps by a function without arguments, at least to a step that cannot be expressed."""
    numbers = [step.dataset for step in steps]
    best: tuple[int, Call] | None = None
    for call in users:
        result = call.result[0] if isinstance(call.result, tuple) and call.result else call.result
        if call.arguments or call.reference is None or not isinstance(result, Dataset):
            continue
        if result.id not in numbers:
            continue
        end = numbers.index(result.id)
        if end >= untold and (best is None or end < best[0]):
            best = (end, call)
    if best is None:
        return None
    end, call = best
    item = {"python": {"function": folders.reference(str(call.reference))}}
    return [WrittenOp(steps[end].dataset, "source", item, "", _where(call)), *steps[end + 1 :]]


def _where(call: Call) -> SourcePlace | None:
    return call.function.where if call.function is not None else None
