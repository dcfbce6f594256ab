"""Edits of a pipeline made in the text of the function that makes it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.edit.chain import CallLine, DatasetFunction, MethodCall, read_function
from pipeprof.pipelines.static.edit.change import (
    with_argument,
    with_call,
    with_lines_after,
    with_lines_before,
    with_text_before,
    without_call,
)
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.edit.layout import PythonLayout
from pipeprof.pipelines.static.edit.options import with_option

AUTOTUNE: Final = "AUTOTUNE"
_SOURCE: Final = "source"


def apply_to_source(
    text: str, function: str, stages: Mapping[str, str], steps: Sequence[Sequence[PipelineEdit]]
) -> str:
    r"""Return the text of a file with steps of edits, in which only the lines that they are about differ.

    Args:
        text: Of the file.
        function: Name of the function that makes the pipeline.
        stages: Ops of the stages as written, by address, in order.
        steps: The edits; the addresses of a step are those of the pipeline that the one before it made.

    Raises:
        CannotEditSourceError: The text does not show where an edit belongs; the message says why.

    Example:
        >>> text = "import tensorflow as tf\n\ndef make():\n    ds = tf.data.Dataset.range(9)\n    return ds.map(f)\n"
        >>> stages = {"source": "range", "stages.0": "map"}
        >>> step = (SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE"),)
        >>> print(apply_to_source(text, "make", stages, [step]).splitlines()[-1])
            return ds.map(f, num_parallel_calls=tf.data.AUTOTUNE)
    """
    source = _Source(text, function, stages)
    for step in steps:
        source.step(step)
    return source.text


class _Source:
    """A text while it is edited: its calls belong to stages, line by line."""

    def __init__(self, text: str, name: str, stages: Mapping[str, str]) -> None:
        self.text = text
        self._name = name
        self._lines: dict[str, list[str]] = {}
        """Addresses of the calls of each line, which is named by the start of its addresses."""
        self._whole: dict[str, bool] = {}
        """Whether all stages of a line are calls of this function."""
        self._first: dict[str, int] = {}
        """Number of the first stage that is one."""
        self._join("", read_function(text, name).line, stages)

    def _join(self, prefix: str, line: CallLine, stages: Mapping[str, str]) -> None:
        """Find the stage of each call: a function that this one calls may make the first stages."""
        start = f"{prefix}stages."
        addresses = [one for one in stages if one.startswith(start) and "." not in one.removeprefix(start)]
        matching = 0
        for address, call in zip(reversed(addresses), reversed(line.calls), strict=False):
            if stages[address] != call.op:
                break
            matching += 1
        if not matching and addresses and prefix == "":
            msg = f"the calls in {self._name} are not the stages of its pipeline"
            raise CannotEditSourceError(msg)
        unknown = [f"{prefix}?{number}" for number in range(len(line.calls) - matching)]
        self._lines[prefix] = [*unknown, *addresses[len(addresses) - matching :]]
        self._first[prefix] = len(addresses) - matching
        self._whole[prefix] = matching == len(addresses) == len(line.calls)
        if self._whole[prefix]:
            for number, inner in enumerate(line.inputs):
                self._join(f"{prefix}source.inputs.{number}.", inner, stages)

    def step(self, edits: Sequence[PipelineEdit]) -> None:
        """Make the edits of a step, whose addresses are those before all of them."""
        for edit in edits:
            self._make(edit)
        for prefix, addresses in self._lines.items():
            first, shown = self._first[prefix], [one for one in addresses if "?" not in one]
            renamed = [f"{prefix}stages.{first + number}" for number in range(len(shown))]
            self._lines[prefix] = [*(one for one in addresses if "?" in one), *renamed]

    def _make(self, edit: PipelineEdit) -> None:
        match edit:
            case SetArgument():
                _, _, call = self._find(edit.stage)
                if call.op != edit.op:
                    raise _cannot(edit.stage, "is another call in the text")
                self.text = with_argument(self.text, call, edit.argument, self._python(edit.value))
            case InsertStage():
                self._insert(edit)
            case MoveStage():
                self._move(edit.stage, edit.before)
            case VectoriseMap():
                self._vectorise(edit)
            case ReplaceStages(by=()):
                for address in edit.stages:
                    prefix, place, call = self._find(address)
                    self.text, _, _ = without_call(self.text, call)
                    del self._lines[prefix][place]
            case SetOption():
                self.text = with_option(self.text, self._read(), edit.path, self._python(edit.value), self._tf())
            case SetEnvironment():
                pass
            case _:
                msg = f"{type(edit).__name__} has no form in a Python text"
                raise CannotEditSourceError(msg)
        self._check()

    def _read(self) -> DatasetFunction:
        return read_function(self.text, self._name)

    def _line(self, prefix: str) -> CallLine:
        line = self._read().line
        for part in [one for one in prefix.split("source.inputs.") if one]:
            line = line.inputs[int(part.split(".")[0])]
        return line

    def _find(self, address: str) -> tuple[str, int, MethodCall]:
        """The line of a stage, its place there, and its call as the text has it now."""
        for prefix, addresses in self._lines.items():
            if address in addresses:
                place = addresses.index(address)
                return prefix, place, self._line(prefix).calls[place]
        raise _cannot(address, f"is not one of the calls in {self._name}")

    def _insert(self, edit: InsertStage) -> None:
        arguments = [f"{name}={self._python(value)}" for name, value in edit.arguments.items()]
        if len(arguments) == 1 and traits(edit.op).positional[:1] == tuple(edit.arguments):
            arguments = [self._python(value) for value in edit.arguments.values()]
        new = f".{edit.op}({', '.join(arguments)})"
        after = edit.after or (self._lines[""][-1] if self._lines[""] else _SOURCE)
        if after.rpartition(".")[2] == _SOURCE:
            prefix = after.removesuffix(_SOURCE)
            if not self._whole.get(prefix, False):
                raise _cannot(after, f"is not made in {self._name}")
            place = -1
        else:
            prefix, place, _ = self._find(after)
        addresses = self._lines[prefix]
        while edit.after is not None and addresses[place + 1 : place + 2] == [_NEW]:
            # Those that are inserted after the same stage come in the order of their edits.
            place += 1
        line = self._line(prefix)
        node = line.calls[place].node if place >= 0 else line.source
        statement = line.calls[place].statement if place >= 0 else line.source_statement
        self.text = with_call(self.text, node, statement, new)
        addresses.insert(place + 1, _NEW)

    def _move(self, address: str, before: str) -> None:
        prefix, place, call = self._find(address)
        other = self._lines[prefix].index(before) if before in self._lines[prefix] else None
        if other is None:
            raise _cannot(before, "is not in the same line of calls")
        text, taken, whole = without_call(self.text, call)
        del self._lines[prefix][place]
        self.text = text
        target = self._line(prefix).calls[self._lines[prefix].index(before)]
        moved = with_lines_before(text, target, taken) if whole else None
        self.text = moved if moved is not None else with_text_before(text, target, _as_call(taken, whole=whole))
        self._lines[prefix].insert(self._lines[prefix].index(before), address)

    def _vectorise(self, edit: VectoriseMap) -> None:
        """Apply a map's function to whole batches: it is wrapped, and its call goes after that of the batch."""
        _, _, batch = self._find(edit.batch)
        if traits(batch.op).pads:
            raise _cannot(edit.batch, "pads rows of different lengths, for which tf.vectorized_map has no form")
        _, _, call = self._find(edit.stage)
        name = traits(call.op).function
        given = call.node.args[0] if call.node.args else None
        given = given or next((one.value for one in call.node.keywords if one.arg == name), None)
        if given is None or isinstance(given, ast.Starred):
            raise _cannot(edit.stage, "has no function in the text")
        layout = PythonLayout(self.text)
        start, end = layout.start(given), layout.end(given)
        function = layout.data[start:end].decode()
        if not isinstance(given, ast.Name | ast.Attribute):
            function = f"({function})"
        new = f"lambda *batch: {self._tf()}.vectorized_map(lambda element: {function}(*element), batch)"
        self.text = (layout.data[:start] + new.encode() + layout.data[end:]).decode()
        prefix, place, call = self._find(edit.stage)
        text, taken, whole = without_call(self.text, call)
        del self._lines[prefix][place]
        self.text = text
        _, after, target = self._find(edit.batch)
        moved = with_lines_after(text, target, taken) if whole else None
        if moved is None:
            moved = with_call(text, target.node, target.statement, _as_call(taken, whole=whole).decode())
        self.text = moved
        self._lines[prefix].insert(after + 1, edit.stage)

    def _python(self, value: Any) -> str:
        """A value as this text writes it."""
        if value == AUTOTUNE:
            return f"{self._tf()}.data.AUTOTUNE"
        if value is None or isinstance(value, bool | int | float | str):
            return repr(value)
        msg = f"the value {value!r} has no form in a Python text"
        raise CannotEditSourceError(msg)

    def _tf(self) -> str:
        """What TensorFlow is called in this text."""
        function = self._read()
        for statement in (*function.tree.body, *function.node.body):
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    if alias.name == "tensorflow":
                        return alias.asname or alias.name
        msg = "the file does not import tensorflow by a name of its own"
        raise CannotEditSourceError(msg)

    def _check(self) -> None:
        """The text has the calls that it should have."""
        for prefix, addresses in self._lines.items():
            if len(self._line(prefix).calls) != len(addresses):
                msg = f"the calls in {self._name} could not be followed"
                raise CannotEditSourceError(msg)


_NEW: Final = "new"


def _as_call(taken: bytes, *, whole: bool) -> bytes:
    """A call from its dot on, of what was taken out of a text."""
    if not whole:
        return taken
    code = taken.decode()
    if code.lstrip().startswith("."):
        lines = code.strip().splitlines()
        if any("#" in line for line in lines):
            msg = "a call with a comment has no place in the middle of a line"
            raise CannotEditSourceError(msg)
        return code.strip().removesuffix("\\").rstrip().encode()
    statement = ast.parse(code.strip()).body[-1]
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call) or "#" in code:
        msg = "a call in lines of its own has no place in the middle of another line"
        raise CannotEditSourceError(msg)
    layout = PythonLayout(code.strip())
    return layout.data[layout.dot(statement.value) : layout.end(statement.value)]


def _cannot(address: str, why: str) -> CannotEditSourceError:
    msg = f"{address} {why}"
    return CannotEditSourceError(msg)
