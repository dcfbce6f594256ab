"""Replacement of the parts that a spec cannot express by calls of the user's own functions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeprof.pipelines.from_python.literals import Folders
from pipeprof.pipelines.from_python.naming import NoReference, arguments_text
from pipeprof.pipelines.from_python.records import Call, Dataset, SourcePlace

TARGET: Final = -1
"""Number of the call of the function that the spec is written from."""


@dataclass(frozen=True)
class WrittenOp:
    """A source or stage in spec form, or the reason why there is none.

    Attributes:
        noted: Why it cannot is noted at the stage of an inner pipeline.
        replaces: TensorFlow's names of the stages that it replaces, if it is one of the user's functions.
    """

    dataset: int
    op: str
    item: dict[str, Any] | None
    why: str = ""
    where: SourcePlace | None = None
    name: str = ""
    call: int = 0
    noted: bool = False
    replaces: tuple[str, ...] = ()

    @property
    def stages(self) -> tuple[str, ...]:
        """TensorFlow's names of its stages; none for a source."""
        return self.replaces or (() if self.op == "source" else (self.op,))


@dataclass(frozen=True)
class UserFunctions:
    """The user's functions that may stand for a part of the pipeline.

    Attributes:
        target: Reference of the function that gave the whole pipeline; None if a spec cannot call it.
        denied: Numbers of the calls that gave another graph when they were called again.
    """

    calls: Sequence[Call]
    folders: Folders
    target: str | None = None
    tail: tuple[str, ...] = ()
    denied: Collection[int] = ()

    def cover(self, steps: Sequence[WrittenOp]) -> tuple[list[WrittenOp], bool]:
        """Replace the fewest possible steps that cannot be expressed.

        Returns:
            The steps (some may still not be expressible), and whether anything was replaced.
        """
        covered = list(steps)
        changed = False
        while True:
            last = max((index for index, step in enumerate(covered) if step.item is None), default=None)
            better = None
            if last is not None:
                better = self._apply_function(covered, last) or self._replace_beginning(covered, last)
            if better is None:
                return covered, changed
            covered, changed = better, True

    def _apply_function(self, steps: list[WrittenOp], untold: int) -> list[WrittenOp] | None:
        """Replace steps around one that cannot be expressed by a function of a dataset; None for none."""
        numbers = [step.dataset for step in steps]
        best: tuple[int, int, Call, str] | None = None
        for call in self.calls:
            given = next(iter(call.arguments.values()), None)
            if call.id in self.denied or not isinstance(given, Dataset) or not isinstance(call.result, Dataset):
                continue
            if given.id not in numbers or call.result.id not in numbers:
                continue
            first, end = numbers.index(given.id), numbers.index(call.result.id)
            reference = self._reference(call, list(call.arguments)[1:])
            if reference is not None and first < untold <= end and (best is None or end - first < best[1] - best[0]):
                best = (first, end, call, reference)
        if best is None:
            return None
        first, end, call, reference = best
        replaced = tuple(name for step in steps[first + 1 : end + 1] for name in step.stages)
        step = WrittenOp(
            steps[end].dataset,
            "apply",
            {"apply": {"python": reference}},
            "",
            call.function.where if call.function is not None else None,
            "",
            call.id,
            replaces=replaced,
        )
        return [*steps[: first + 1], step, *steps[end + 1 :]]

    def _replace_beginning(self, steps: list[WrittenOp], untold: int) -> list[WrittenOp] | None:
        numbers = [step.dataset for step in steps]
        makers: list[tuple[int, str, int, tuple[str, ...]]] = []
        target = self.folders.reference(self.target) if self.target is not None else None
        for call in self.calls:
            result = call.result[0] if isinstance(call.result, tuple) and call.result else call.result
            if call.id in self.denied or not isinstance(result, Dataset) or result.id not in numbers[untold:]:
                continue
            reference = self._reference(call, list(call.arguments))
            if reference is not None and reference != target:
                makers.append((numbers.index(result.id), reference, call.id, ()))
        if target is not None and TARGET not in self.denied:
            makers.append((len(steps) - 1, target, TARGET, self.tail))
        if not makers:
            return None
        end, reference, number, tail = min(makers, key=lambda maker: maker[0])
        without = [name for step in steps[untold + 1 : end + 1] for name in step.stages] + [*tail]
        item = {"function": reference, **({"without": without} if without else {})}
        last = steps[untold]
        beginning = replace(last, op="source", item={"python": item}, call=number, replaces=())
        return [beginning, *steps[untold + 1 :]]

    def _reference(self, call: Call, names: Sequence[str]) -> str | None:
        if call.reference is None:
            return None
        given = {name: call.arguments[name] for name in names}
        if given and call.reference.endswith(")"):
            return None
        try:
            text = arguments_text((), given, partial=True) if given else ""
        except NoReference:
            return None
        return self.folders.reference(f"{call.reference}{text}")
