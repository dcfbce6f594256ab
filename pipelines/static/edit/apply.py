"""Edits of a pipeline made in the text of the function that makes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveFilter,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.edits.line import EditedLines, LineError, LineItem, Path, line_of, path_of
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.edit.chain import (
    OPTIONS,
    CallLine,
    DatasetBlock,
    DatasetReader,
    MethodCall,
    read_block,
    read_function,
)
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.edit.layout import PythonLayout, Replacement


def with_argument(text: str, call: MethodCall, name: str, value: str) -> str:
    r"""Set an argument of a call.

    Args:
        call: The call, as it is in the text.
    """
    layout = PythonLayout(text)
    node = call.node
    given = next((keyword.value for keyword in node.keywords if keyword.arg == name), None)
    row = traits(call.op)
    names = row.positional or ((row.function,) if row.function is not None else ())
    if given is None and name in names and names.index(name) < len(node.args):
        given = node.args[names.index(name)]
    if any(isinstance(one, ast.Starred) for one in node.args) or any(keyword.arg is None for keyword in node.keywords):
        raise CannotEditSourceError(f"the arguments of {call.op} in line {node.lineno} are not written one by one")
    if given is not None:
        return layout.with_splices(Replacement(layout.start(given), layout.end(given), value.encode()))
    if len(node.args) > max(1, len(names)):
        raise CannotEditSourceError(f"the arguments of {call.op} in line {node.lineno} have no names")
    place, comma = layout.last_argument(node)
    new = f"{name}={value}".encode()
    if not node.args and not node.keywords:
        return layout.with_splices(Replacement(place, place, new))
    last = max([*node.args, *(keyword.value for keyword in node.keywords)], key=layout.end)
    if comma and layout.trails(place) and layout.line_end(place) < layout.end(node):
        # One argument in each line, the last one with a comma: the new one gets a line too.
        end = layout.line_end(place)
        first = next((keyword for keyword in node.keywords if keyword.value is last), None)
        indent = layout.indent(layout.start(first.value if first is not None else last))
        return layout.with_splices(Replacement(end, end, layout.newline + indent + new + b","))
    return layout.with_splices(Replacement(place, place, (b" " if comma else b", ") + new))


def with_call(text: str, after: ast.expr, statement: ast.stmt, new: str) -> str:
    """Put a call of a method after an expression.

    Args:
        after: The expression: a call of the chain, or its source.
        new: The call, from its dot on.
    """
    layout = PythonLayout(text)
    name = _name_of_own_line(layout, after, statement)
    end = layout.end(after)
    if name is not None:
        line = layout.indent(layout.start(statement)) + f"{name} = {name}{new}".encode()
        close = layout.line_end(end)
        return layout.with_splices(Replacement(close, close, layout.newline + line))
    if _in_brackets(after, statement):
        return layout.with_splices(Replacement(end, end, new.encode()))
    return layout.with_splices(_own_line(layout, after, new.encode()) or Replacement(end, end, new.encode()))


def without_call(text: str, call: MethodCall) -> tuple[str, bytes, bool]:
    """Take a call out.

    Args:
        call: The call, as it is in the text.

    Returns:
        The text without it, the call from its dot on, or its whole lines, and whether it is those.
    """
    layout = PythonLayout(text)
    dot, end = layout.dot(call.node), layout.end(call.node)
    if _is_own_statement(layout, call):
        start, close = layout.line_start(layout.start(call.statement)), layout.next_line(end)
        start = _with_comments(layout, start)
        return layout.with_splices(Replacement(start, close, b"")), layout.data[start:close], True
    if layout.leads(dot) and layout.trails(end):
        start, close = layout.line_start(dot), layout.next_line(end)
        if not layout.is_joined(end) and layout.follows_joined(start):
            # The last one of joined lines: the one before is the last one now.
            before = layout.data[:start].rstrip().removesuffix(b"\\").rstrip()
            taken = layout.data[start : layout.line_end(end)]
            return (before + layout.data[layout.line_end(end) :]).decode(), taken.strip(), False
        return layout.with_splices(Replacement(start, close, b"")), layout.data[start:close], True
    return layout.with_splices(Replacement(dot, end, b"")), layout.data[dot:end], False


def with_lines_before(text: str, call: MethodCall, lines: bytes) -> str | None:
    """Put whole lines of a call before another call; None where that one has no lines of its own."""
    layout = PythonLayout(text)
    dot = layout.dot(call.node)
    of_chain = lines.lstrip().splitlines()[-1].lstrip().startswith(b".") or lines.lstrip().startswith(b".")
    if of_chain:
        place = layout.line_start(dot) if layout.leads(dot) else None
    else:
        place = layout.start(call.statement) if _is_own_statement(layout, call) else None
        place = _with_comments(layout, layout.line_start(place)) if place is not None else None
    return layout.with_splices(Replacement(place, place, lines)) if place is not None else None


def with_lines_after(text: str, call: MethodCall, lines: bytes) -> str | None:
    """Put whole lines of a call after another call; None where that one has no lines of its own."""
    layout = PythonLayout(text)
    dot, end = layout.dot(call.node), layout.end(call.node)
    if lines.lstrip().startswith(b"."):
        last_of_joined = layout.follows_joined(dot) and not layout.is_joined(end)
        own = layout.leads(dot) and layout.trails(end) and not last_of_joined
    else:
        own = _is_own_statement(layout, call)
    place = layout.next_line(end)
    return layout.with_splices(Replacement(place, place, lines)) if own else None


def with_text_before(text: str, call: MethodCall, new: bytes) -> str:
    """Put a call, from its dot on, before another call."""
    layout = PythonLayout(text)
    dot = layout.dot(call.node)
    if layout.leads(dot) and layout.follows_joined(dot):
        new = new + b" \\" + layout.newline + layout.indent(dot)
    return layout.with_splices(Replacement(dot, dot, new))


def _own_line(layout: PythonLayout, after: ast.expr, new: bytes) -> Replacement | None:
    """A line for a new call after one that has a line of its own, or is a source with one; None where it has not."""
    end = layout.end(after)
    chained = isinstance(after, ast.Call) and isinstance(after.func, ast.Attribute) and layout.leads(layout.dot(after))
    if not chained or not layout.trails(end):
        return None
    assert isinstance(after, ast.Call)  # noqa: S101 - for the type checker
    dot = layout.dot(after)
    indent = layout.indent(dot)
    joined = layout.follows_joined(dot)
    close = layout.line_end(end)
    if not joined:
        return Replacement(close, close, layout.newline + indent + new)
    if layout.is_joined(end):
        return Replacement(close, close, layout.newline + indent + new + b" \\")
    return Replacement(close, close, b" \\" + layout.newline + indent + new)


def _in_brackets(after: ast.expr, statement: ast.stmt) -> bool:
    """Whether an expression is a part of another one's argument, so that its line is not its own."""
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Return) else None
    node: ast.expr | None = value
    while node is not None:
        if node is after:
            return False
        node = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    return True


def _name_of_own_line(layout: PythonLayout, after: ast.expr, statement: ast.stmt) -> str | None:
    """The name that a statement gives to an expression in lines of its own, one call in each statement."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ) if value is after:
            pass
        case _:
            return None
    if not layout.leads(layout.start(statement)) or not _alone(layout, layout.end(statement)):
        return None
    if isinstance(after, ast.Call) and isinstance(after.func, ast.Attribute):
        receiver = after.func.value
        # A chain grows where it is; a statement for each call gets another one.
        return name if isinstance(receiver, ast.Name) or not isinstance(receiver, ast.Call) else None
    return name


def _is_own_statement(layout: PythonLayout, call: MethodCall) -> bool:
    """Whether a statement gives a name the result of one call on the same name, in lines of its own."""
    statement = call.statement
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call.node:
            same = isinstance(call.receiver, ast.Name) and call.receiver.id == name
            return same and layout.leads(layout.start(statement)) and _alone(layout, layout.end(statement))
    return False


def _alone(layout: PythonLayout, end: int) -> bool:
    """Whether nothing but a comment follows in a line."""
    rest = layout.data[end : layout.line_end(end)].strip()
    return not rest or rest.startswith(b"#")


def _with_comments(layout: PythonLayout, start: int) -> int:
    """The start of the comment lines directly before a line, which belong to it."""
    while start:
        before = layout.line_start(start - 1)
        if not layout.data[before : start - 1].strip().startswith(b"#"):
            return start
        start = before
    return start


_SOURCE: Final = "source"
_ALIKE = frozenset({"prefetch"})
"""Stages that change neither the elements nor their order, for whatever else reads them."""
_NAMES = ("options", "pipeline_options", "dataset_options")


def with_option(text: str, function: DatasetBlock, path: str, value: str, tensorflow: str) -> str:
    r"""Set an option: in the options that the function has, or in new ones before its `return`.

    Args:
        tensorflow: What TensorFlow is called there.
    """
    layout = PythonLayout(text)
    given = function.line.options[-1] if function.line.options else None
    if given is not None:
        return _in_given(layout, function, given, path, value)
    return _in_new(layout, function, path, value, tensorflow)


def _in_given(layout: PythonLayout, function: DatasetBlock, given: MethodCall, path: str, value: str) -> str:
    match given.node:
        case ast.Call(args=[ast.Name(id=name)], keywords=[]):
            pass
        case _:
            raise CannotEditSourceError(f"the options in line {given.node.lineno} have no name")
    others = [one for one in _whole_reads(function.tree, name) if one is not given.node.args[0]]
    made = [one for one in function.body if isinstance(one, ast.Assign) and [name] == [*map(ast.unparse, one.targets)]]
    if others or len(made) != 1 or not isinstance(made[0].value, ast.Call):
        raise CannotEditSourceError(f"the options in line {given.node.lineno} may be those of another dataset as well")
    place = function.body.index(given.statement)
    for statement in reversed(function.body[:place]):
        match statement:
            case ast.Assign(targets=[ast.Attribute() as target], value=old) if ast.unparse(target) == f"{name}.{path}":
                return layout.with_splices(Replacement(layout.start(old), layout.end(old), value.encode()))
    start = layout.line_start(layout.start(given.statement))
    line = layout.indent(start) + f"{name}.{path} = {value}".encode() + layout.newline
    return layout.with_splices(Replacement(start, start, line))


def _whole_reads(tree: ast.AST, name: str) -> list[ast.expr]:
    """Where a name is read, and not an attribute of it alone."""
    of_attributes = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Attribute)}
    named = [one for one in ast.walk(tree) if isinstance(one, ast.Name) and one.id == name]
    return [one for one in named if isinstance(one.ctx, ast.Load) and id(one) not in of_attributes]


def _in_new(layout: PythonLayout, function: DatasetBlock, path: str, value: str, tensorflow: str) -> str:
    used = frozenset(re.findall(rb"\w+", layout.data))
    name = next((one for one in _NAMES if one.encode() not in used), None)
    start = layout.start(function.last)
    if name is None or not layout.leads(start):
        raise CannotEditSourceError("there is no place for options before the dataset is read")
    lines = [f"{name} = {tensorflow}.data.Options()", f"{name}.{path} = {value}"]
    splices = []
    if isinstance(function.value, ast.Name):
        lines.append(f"{function.value.id} = {function.value.id}.{OPTIONS}({name})")
    elif isinstance(function.value, ast.Call):
        end = layout.end(function.value)
        splices.append(Replacement(end, end, f".{OPTIONS}({name})".encode()))
    else:
        raise CannotEditSourceError("what reads the dataset has neither a name nor a call of it")
    # Directly after the statement that has made the dataset, if it is the one before.
    start = _after_binding(layout, function) or layout.line_start(start)
    text = b"".join(layout.indent(layout.start(function.last)) + line.encode() + layout.newline for line in lines)
    return layout.with_splices(Replacement(start, start, text), *splices)


def _after_binding(layout: PythonLayout, function: DatasetBlock) -> int | None:
    """The line after the statement before the last one, where it gives the dataset its name."""
    place = function.body.index(function.last)
    match function.value, function.body[place - 1] if place else None:
        case ast.Name(id=name), ast.Assign(targets=[ast.Name(id=bound)]) as before if name == bound:
            end = layout.end(before)
            return layout.next_line(end) if _alone(layout, end) else None
    return None


def apply_to_source(
    text: str, function: str | DatasetReader, stages: Mapping[str, str], steps: Sequence[Sequence[PipelineEdit]]
) -> str:
    r"""Return the text of a file with steps of edits, in which only the lines that they are about differ.

    Args:
        function: Name of the function that returns the dataset, or where the file reads it.
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


@dataclass(eq=False)
class _Call(LineItem):
    """A stage in a text.

    Attributes:
        shown: Whether the text has its call.
        text: What is put into the text: the call from its dot on, or its whole lines.
        whole: Whether it is whole lines.
    """

    shown: bool = True
    text: bytes = b""
    whole: bool = False


class _Source(EditedLines[_Call]):
    """A text while it is edited: the last calls of a line are its last stages, the first may be made elsewhere."""

    def __init__(self, text: str, made: str | DatasetReader, stages: Mapping[str, str]) -> None:
        super().__init__({})
        self.text = text
        self._made = made
        self._edited = False
        self._name = made if isinstance(made, str) else made.where
        for address, op in stages.items():
            path = path_of(address)
            line = self.line(line_of(path))
            if path == line[0].path:
                line[0].op = op
            else:
                line.append(_Call(op, path, shown=False))
        self._unknown: dict[Path, int] = {}
        """How many calls of a line come before those of its stages."""
        self._join((), self._read().line)

    def _join(self, at: Path, calls: CallLine) -> None:
        """Find the calls of a line's stages: a function that this one calls may make the first stages."""
        source, *stages = self.line(at)
        matching = 0
        for stage, call in zip(reversed(stages), reversed(calls.calls), strict=False):
            if stage.op != call.op:
                break
            stage.shown = True
            matching += 1
        if stages and not matching and not at:
            raise CannotEditSourceError(f"the calls in {self._name} are not the stages of its pipeline")
        self._unknown[at] = len(calls.calls) - matching
        if matching == len(stages) == len(calls.calls):
            source.shown = True
            for number, inner in enumerate(calls.inputs):
                self._join((*at, _SOURCE, "inputs", str(number)), inner)

    def line(self, at: Path) -> list[_Call]:
        return self.lines.setdefault(at, [_Call("", (*at, _SOURCE), shown=False)])

    def step(self, edits: Sequence[PipelineEdit]) -> None:
        """Make the edits of a step, whose addresses are those before all of them."""
        for edit in edits:
            try:
                self.apply(edit)
            except LineError as error:
                raise CannotEditSourceError(str(error)) from error
            self._check()
        self.begin_step()

    def apply(self, edit: PipelineEdit) -> None:
        if isinstance(edit, MoveFilter) or (isinstance(edit, ReplaceStages) and edit.by):
            raise CannotEditSourceError(f"{type(edit).__name__} has no form in a Python text")
        self._edited = True
        super().apply(edit)

    def new(self, stage: NewStage, edit: PipelineEdit) -> _Call:
        del edit
        return _Call(stage.op, text=new_call(stage, self._tf).encode())

    def put(self, at: Path, index: int, item: _Call) -> None:
        if item.before:
            target = self._own_call(at, index)
            text = with_lines_before(self.text, target, item.text) if item.whole else None
            self.text = text if text is not None else with_text_before(self.text, target, _as_call(item))
        elif index == 1:
            line = self._line(at)
            if not self.lines[at][0].shown:
                raise _cannot(".".join(map(str, (*at, _SOURCE))), f"is not made in {self._name}")
            self._refuse_shared((*at, _SOURCE), shared=line.shared and item.op not in _ALIKE)
            self.text = with_call(self.text, line.source, line.source_statement, _as_call(item).decode())
        else:
            target = self._call(at, index - 1)
            self._refuse_shared(self.lines[at][index - 1].path, shared=target.shared and item.op not in _ALIKE)
            text = with_lines_after(self.text, target, item.text) if item.whole else None
            if text is None:
                text = with_call(self.text, target.node, target.statement, _as_call(item).decode())
            self.text = text
        super().put(at, index, item)

    def take(self, at: Path, index: int) -> _Call:
        text, taken, whole = without_call(self.text, self._own_call(at, index))
        item = super().take(at, index)
        self.text, item.text, item.whole = text, taken, whole
        return item

    def swap(self, at: Path, first: int, count: int, new: list[_Call]) -> None:
        del new  # there are none
        for _ in range(count):
            self.take(at, first)

    def set_argument(self, item: _Call, edit: SetArgument) -> None:
        del item
        at, index = self.find(edit.stage)
        call = self._call(at, index) if is_harmless(edit) else self._own_call(at, index)
        self.text = with_argument(self.text, call, edit.argument, self._python(edit.value))

    def set_option(self, edit: SetOption) -> None:
        line = self._line(())
        if edit.path == "deterministic":
            self._refuse_shared(self.lines[()][-1].path, shared=line.calls[-1].shared if line.calls else line.shared)
        self.text = with_option(self.text, self._read(), edit.path, self._python(edit.value), self._tf())

    def on_batches(self, item: _Call, batch: _Call, edit: VectoriseMap) -> None:
        """Wrap the function of a map."""
        del batch
        at, index = self.find(edit.stage)
        call = self._own_call(at, index)
        name = traits(item.op).function
        given = call.node.args[0] if call.node.args else None
        given = given or next((keyword.value for keyword in call.node.keywords if keyword.arg == name), None)
        if given is None or isinstance(given, ast.Starred):
            raise _cannot(edit.stage, "has no function in the text")
        layout = PythonLayout(self.text)
        start, end = layout.start(given), layout.end(given)
        function = layout.data[start:end].decode()
        if not isinstance(given, ast.Name | ast.Attribute):
            function = f"({function})"
        new = f"lambda *batch: {self._tf()}.vectorized_map(lambda element: {function}(*element), batch)"
        self.text = (layout.data[:start] + new.encode() + layout.data[end:]).decode()

    def _read(self) -> DatasetBlock:
        made = self._made
        try:
            return read_function(self.text, made) if isinstance(made, str) else read_block(self.text, made)
        except CannotEditSourceError as error:
            if not self._edited:
                raise
            raise CannotEditSourceError(f"the change could not be written in {self._name}") from error

    def _line(self, at: Path) -> CallLine:
        line = self._read().line
        for number in at[2::3]:
            if int(number) >= len(line.inputs):
                raise _cannot(".".join(map(str, at)), f"is not one of the calls in {self._name}")
            line = line.inputs[int(number)]
        return line

    def _call(self, at: Path, index: int) -> MethodCall:
        """The call of a stage as the text has it now."""
        line = self.lines[at]
        if not (index and line[index].shown):
            address = ".".join(map(str, line[index].path or (line[index].op,)))
            raise _cannot(address, f"is not one of the calls in {self._name}")
        return self._line(at).calls[index - len(line)]

    def _own_call(self, at: Path, index: int) -> MethodCall:
        """The call of a stage, whose elements nothing but this pipeline reads."""
        call = self._call(at, index)
        self._refuse_shared(self.lines[at][index].path, shared=call.shared)
        return call

    def _refuse_shared(self, path: Path | None, *, shared: bool) -> None:
        if shared:
            raise _cannot(".".join(map(str, path or ("it",))), f"is a part of another dataset of {self._name} as well")

    def _python(self, value: Any) -> str:
        """A value as this text writes it."""
        return python_value(value, self._tf)

    def _tf(self) -> str:
        """Return the name of TensorFlow in this text."""
        function = self._read()
        return tensorflow_name((*function.tree.body, *function.body))

    def _check(self) -> None:
        """The text has the calls that it should have."""
        for at, unknown in self._unknown.items():
            calls = [call.op for call in self._line(at).calls[unknown:]]
            if calls != [stage.op for stage in self.line(at)[1:] if stage.shown]:
                raise CannotEditSourceError(f"the calls in {self._name} could not be followed")


def is_harmless(edit: PipelineEdit) -> bool:
    """Whether an edit changes neither the elements of a stage nor their order, for whatever reads them."""
    if isinstance(edit, SetArgument):
        return edit.argument == "num_parallel_calls" or edit.op in _ALIKE
    return isinstance(edit, InsertStage) and edit.op in _ALIKE


def new_call(stage: NewStage, tensorflow: Callable[[], str]) -> str:
    """A call that makes a stage, from its dot on.

    Args:
        tensorflow: Returns what TensorFlow is called in the text.
    """
    arguments = {name: python_value(value, tensorflow) for name, value in stage.arguments.items()}
    first = traits(stage.op).positional[:1]
    given = arguments.values() if first == tuple(arguments) else [f"{name}={arguments[name]}" for name in arguments]
    return f".{stage.op}({', '.join(given)})"


def python_value(value: Any, tensorflow: Callable[[], str]) -> str:
    """A value as a text writes it.

    Args:
        tensorflow: Returns what TensorFlow is called there.
    """
    if value == AUTOTUNE:
        return f"{tensorflow()}.data.AUTOTUNE"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    raise CannotEditSourceError(f"the value {value!r} has no form in a Python text")


def tensorflow_name(statements: Iterable[ast.AST]) -> str:
    """What an import among some statements calls TensorFlow."""
    for statement in statements:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name == "tensorflow":
                    return alias.asname or alias.name
    raise CannotEditSourceError("the file does not import tensorflow by a name of its own")


def _as_call(item: _Call) -> bytes:
    """A call from its dot on, of what was taken out of a text."""
    if not item.whole:
        return item.text
    code = item.text.decode()
    if code.lstrip().startswith("."):
        lines = code.strip().splitlines()
        if any("#" in line for line in lines):
            raise CannotEditSourceError("a call with a comment has no place in the middle of a line")
        return code.strip().removesuffix("\\").rstrip().encode()
    statement = ast.parse(code.strip()).body[-1]
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call) or "#" in code:
        raise CannotEditSourceError("a call in lines of its own has no place in the middle of another line")
    layout = PythonLayout(code.strip())
    return layout.data[layout.dot(statement.value) : layout.end(statement.value)]


def _cannot(address: str, why: str) -> CannotEditSourceError:
    msg = f"{address} {why}"
    return CannotEditSourceError(msg)
