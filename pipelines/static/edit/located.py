"""Edits at the calls of a file that have made the stages of a pipeline, wherever these calls stand."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pipeprof.pipelines.edits.edits import NewStage, PipelineEdit, SetArgument
from pipeprof.pipelines.edits.line import EditedLines, LineError, LineItem, Path, line_of, path_of
from pipeprof.pipelines.static.edit.apply import (
    is_harmless,
    new_call,
    python_value,
    tensorflow_name,
    with_argument,
    with_call,
)
from pipeprof.pipelines.static.edit.chain import MethodCall, statement_of
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.edit.statement import CallPlace
from pipeprof.pipelines.static.written_calls import call_in, parsed

CallOfStage: TypeAlias = "tuple[str, CallPlace | None]"
"""Op of a stage, and the call of the file that has made it and no other stage; None where there is none."""


def apply_at_calls(
    text: str, file: str, stages: Mapping[str, CallOfStage], steps: Sequence[Sequence[PipelineEdit]]
) -> str:
    r"""Return the text of a file with edits that change neither elements nor their order.

    The same calls may make other datasets, so that only `num_parallel_calls` and `prefetch` change.

    Args:
        file: Its name, for messages.
        stages: By their addresses, in order.
        steps: The edits; the addresses of a step are those of the pipeline that the one before it made.

    Raises:
        CannotEditSourceError: An edit is another one, or the file has no call for it.

    Example:
        >>> text = "def make(n):\n    return numbers(n).map(f)\n\ntrain, test = make(9), make(3)\n"
        >>> stages = {"source": ("range", None), "stages.0": ("map", (2, None, "map"))}
        >>> edit = SetArgument("stages.0", "map", "num_parallel_calls", 2)
        >>> print(apply_at_calls(text, "train.py", stages, [[edit]]).splitlines()[1])
            return numbers(n).map(f, num_parallel_calls=2)
    """
    lines = _Located(text, file, stages)
    for step in steps:
        for edit in step:
            if not is_harmless(edit):
                raise CannotEditSourceError(f"the calls in {file} may be those of other datasets as well")
            try:
                lines.apply(edit)
            except LineError as error:
                raise CannotEditSourceError(str(error)) from error
        lines.begin_step()
    return lines.written()


@dataclass(eq=False)
class _Stage(LineItem):
    place: CallPlace | None = None
    new: NewStage | None = None


@dataclass(frozen=True)
class _Change:
    """An argument that a call gets, or a call that comes after it."""

    place: CallPlace
    change: SetArgument | NewStage


class _Located(EditedLines[_Stage]):
    """The stages of a pipeline, and what changes at their calls."""

    def __init__(self, text: str, file: str, stages: Mapping[str, CallOfStage]) -> None:
        super().__init__({})
        self._text, self._file = text, file
        self._changes: list[_Change] = []
        for address, (op, place) in stages.items():
            path = path_of(address)
            self.lines.setdefault(line_of(path), []).append(_Stage(op, path, place=place))

    def new(self, stage: NewStage, edit: PipelineEdit) -> _Stage:
        del edit
        return _Stage(stage.op, new=stage)

    def put(self, at: Path, index: int, item: _Stage) -> None:
        assert item.new is not None  # noqa: S101 - no harmless edit moves a stage
        item.place = self._note(self.lines[at][index - 1], item.new)
        super().put(at, index, item)

    def set_argument(self, item: _Stage, edit: SetArgument) -> None:
        if item.new is not None:
            raise CannotEditSourceError(f"{item.op} is not in {self._file} yet")
        self._note(item, edit)

    def _note(self, item: _Stage, change: SetArgument | NewStage) -> CallPlace:
        if item.place is None:
            address = ".".join(map(str, item.path or (item.op,)))
            raise CannotEditSourceError(f"{address} is not made by a call in {self._file}")
        self._changes.append(_Change(item.place, change))
        return item.place

    def written(self) -> str:
        """The text with the changes."""
        text = self._text
        # From the end on, so that the places of the others stay; what comes after one call goes in last first.
        calls = [one for one in reversed(self._changes) if isinstance(one.change, NewStage)]
        arguments = [one for one in self._changes if isinstance(one.change, SetArgument)]
        for one in sorted([*calls, *arguments], key=lambda one: (one.place[0], one.place[1] or 0), reverse=True):
            tree = parsed(text)
            call = call_in(tree, *one.place) if tree is not None else None
            if tree is None or call is None or not isinstance(call.func, ast.Attribute):
                raise CannotEditSourceError(
                    f"line {one.place[0]} of {self._file} does not show the call of {one.place[2]}"
                )
            statement = statement_of(tree, call)
            if isinstance(one.change, NewStage):
                text = with_call(text, call, statement, new_call(one.change, self._tensorflow))
            else:
                found = MethodCall(one.place[2], call, call.func.value, statement)
                value = python_value(one.change.value, self._tensorflow)
                text = with_argument(text, found, one.change.argument, value)
        return text

    def _tensorflow(self) -> str:
        tree = parsed(self._text)
        return tensorflow_name(ast.walk(tree) if tree is not None else ())
