"""A change in the text of the user's Python, at the calls that were seen making its stages: bytes spliced, no more.

Nothing is read from the text but where a call begins and ends: which call makes a stage, the run has seen. Where the
text has no place for a change, one sentence names line and call.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.changes.diffs import unified
from pipeprof.pipelines.changes.edits import (
    MoveFilter,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.changes.line import EditedLines, LineError, LineItem, Path, line_of, path_of
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import STAGES, traits
from pipeprof.pipelines.static.written_calls import call_in, function_given

_ALIKE: Final = frozenset({"prefetch"})
"""Stages that change neither the elements nor their order, for whatever else reads them."""
_OPTIONS: Final = ("options", "pipeline_options", "dataset_options")
_REPEATED: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


class CannotChangeSourceError(UsageError):
    """A change has no place in the text; the message says why."""


@dataclass(frozen=True)
class RecordedCall:
    """The call that made a stage: line and column of its name, from 1."""

    file: str
    line: int
    column: int | None
    name: str

    def __str__(self) -> str:
        return f"{self.name} in line {self.line} of {self.file}"


@dataclass(frozen=True, order=True)
class TextSplice:
    """What comes in place of some bytes."""

    start: int
    end: int
    text: bytes


@dataclass(frozen=True)
class ChangedSource:
    """Files with a change.

    Attributes:
        before: Texts of the files that differ, by their names.
        texts: The same with the change.
    """

    before: Mapping[str, str]
    texts: Mapping[str, str]
    splices: Mapping[str, Sequence[TextSplice]]

    @property
    def diff(self) -> str:
        """A diff of all files, as `patch` and `git apply` take it."""
        return "".join(unified(self.before[name], text, name) for name, text in self.texts.items())

    def line(self, file: str, line: int) -> int:
        """Where a line of a changed file is now, from 1."""
        data = self.before[file].encode()
        start = len(b"\n".join(data.split(b"\n")[: line - 1])) + (line > 1)
        before = [one for one in self.splices[file] if one.start <= start]
        removed = sum(data[one.start : min(one.end, start)].count(b"\n") for one in before)
        return line + sum(one.text.count(b"\n") for one in before) - removed


def change_source(
    texts: Mapping[str, str],
    stages: Mapping[str, tuple[str, RecordedCall | None]],
    steps: Sequence[Sequence[PipelineEdit]],
    function: str | None = None,
) -> ChangedSource:
    r"""Make steps of changes in the text of files.

    Args:
        texts: Of the files, by their names.
        stages: The op of each stage and the call that made it, by address, in order.
        steps: The addresses of a step are those of the pipeline that the one before it made.
        function: Name of the function that the user has named: it may make other datasets with other arguments.

    Raises:
        CannotChangeSourceError: The text has no place for a change.

    Example:
        >>> text = "ds = numbers().map(f)\nfit(ds.batch(2))\n"
        >>> mapped, batched = RecordedCall("a.py", 1, None, "map"), RecordedCall("a.py", 2, None, "batch")
        >>> stages = {"source": ("range", None), "stages.0": ("map", mapped), "stages.1": ("batch", batched)}
        >>> edits = SetArgument("stages.0", "map", "num_parallel_calls", 2), ReplaceStages(("stages.1",))
        >>> print(change_source({"a.py": text}, stages, [edits]).texts["a.py"], end="")
        ds = numbers().map(f, num_parallel_calls=2)
        fit(ds)
    """
    chain = _Chain(stages)
    for step in steps:
        for edit in step:
            try:
                chain.apply(edit)
            except LineError as error:
                raise CannotChangeSourceError(str(error)) from error
        chain.begin_step()
    if not chain.touched:
        raise CannotChangeSourceError("the changes are those of the environment alone")
    writer = _Writer({name: _File(name, text) for name, text in texts.items()}, chain, function)
    writer.write()
    found = {name: file.splices for name, file in writer.files.items() if file.splices}
    after = {name: writer.files[name].spliced() for name in found}
    return ChangedSource({name: texts[name] for name in found}, after, found)


@dataclass(eq=False)
class _Item(LineItem):
    """A stage.

    Attributes:
        origin: Its path before all steps.
        stays: Whether its call keeps its place in the text.
        gone: Whether it is taken out.
        followed_by: What comes after it in the text: new stages, and those that move there.
    """

    call: RecordedCall | None = None
    origin: Path = ()
    arguments: dict[str, Any] = field(default_factory=dict)
    is_new: bool = False
    stays: bool = True
    gone: bool = False
    on_rows: bool = False
    followed_by: list[_Item] = field(default_factory=list)

    @property
    def is_harmless(self) -> bool:
        """Whether what changes here leaves the elements and their order as they are, for whatever else reads them."""
        if self.op in _ALIKE:
            own = True
        else:
            own = self.stays and not (self.gone or self.on_rows) and not self.arguments.keys() - {"num_parallel_calls"}
        return own and all(map(_keeps_elements, self.followed_by))

    @property
    def change(self) -> tuple[Any, ...]:
        """What happens to its call, to be compared."""
        after = [(one.op, one.call, one.arguments) for one in self.followed_by]
        return self.arguments, self.stays, self.gone, self.on_rows, after


def _keeps_elements(new: _Item) -> bool:
    """Whether a call that comes leaves the elements and their order as they are."""
    return new.op in _ALIKE or (new.op == "with_options" and "deterministic" not in new.arguments)


class _Chain(EditedLines[_Item]):
    """The stages while changes are made."""

    def __init__(self, stages: Mapping[str, tuple[str, RecordedCall | None]]) -> None:
        super().__init__({})
        for address, (op, call) in stages.items():
            path = path_of(address)
            line = self.lines.setdefault(line_of(path), [])
            if not line and path[-1] != "source":
                line.append(_Item("source", (*line_of(path), "source")))
            line.append(_Item(op, path, call=call, origin=path))
        self.before: dict[Path, list[_Item]] = {at: list(line) for at, line in self.lines.items()}
        self.options: dict[str, Any] = {}
        self.touched = False

    def apply(self, edit: PipelineEdit) -> None:
        if isinstance(edit, MoveFilter) or (isinstance(edit, ReplaceStages) and edit.by):
            raise CannotChangeSourceError(f"{type(edit).__name__} needs code that only you can write")
        self.touched = self.touched or not isinstance(edit, SetEnvironment)
        super().apply(edit)

    def new(self, stage: NewStage, edit: PipelineEdit) -> _Item:
        del edit
        return _Item(stage.op, arguments=dict(stage.arguments), is_new=True, stays=False)

    def take(self, at: Path, index: int) -> _Item:
        item = super().take(at, index)
        item.stays = False
        return item

    def swap(self, at: Path, first: int, count: int, new: list[_Item]) -> None:
        for item in self.lines[at][first : first + count]:
            item.gone = True
        super().swap(at, first, count, new)

    def set_argument(self, item: _Item, edit: SetArgument) -> None:
        item.arguments[edit.argument] = edit.value

    def set_option(self, edit: SetOption) -> None:
        self.options[edit.path] = edit.value

    def on_batches(self, item: _Item, batch: _Item, edit: VectoriseMap) -> None:
        del batch, edit
        item.on_rows = True


class _File:
    """The text of a file as bytes, which Python's positions count."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.data = text.encode()
        self.newline = b"\r\n" if b"\r\n" in self.data else b"\n"
        self.splices: list[TextSplice] = []
        self._starts = [0, *itertools.accumulate(len(line) + 1 for line in self.data.split(b"\n"))]
        try:
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise CannotChangeSourceError(f"{name} cannot be read as Python: {error}") from None
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def call(self, call: RecordedCall) -> ast.Call:
        """The node of a recorded call."""
        node = call_in(self.tree, call.line, call.column, call.name)
        if node is None or not self.data[: self.end(node)].endswith(b")"):
            raise CannotChangeSourceError(f"line {call.line} of {self.name} does not show the call of {call.name}")
        return node

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Offset of a node's start."""
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Offset of a node's end."""
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def dot(self, node: ast.Call) -> int:
        """Offset of the dot before a call's method."""
        function = node.func
        if not isinstance(function, ast.Attribute):
            raise CannotChangeSourceError(f"line {node.lineno} of {self.name} calls no method of a dataset")
        return self.data.rindex(b".", 0, self.end(function) - len(function.attr.encode()))

    def line_start(self, place: int) -> int:
        """Offset of the start of a place's line."""
        return self.data.rfind(b"\n", 0, place) + 1

    def line_end(self, place: int) -> int:
        """Offset of the end of a place's line, without its line end."""
        return place + len(re.match(rb"[^\r\n]*", self.data[place:])[0])  # type: ignore[index]

    def next_line(self, place: int) -> int:
        """Offset of the start of the line after a place's."""
        return (self.data.find(b"\n", place) + 1) or len(self.data)

    def indent(self, place: int) -> bytes:
        """The blanks that the line of a place begins with."""
        return re.match(rb"[ \t]*", self.data[self.line_start(place) :])[0]  # type: ignore[index]

    def leads(self, place: int) -> bool:
        """Whether only blanks stand before a place in its line."""
        return not self.data[self.line_start(place) : place].strip()

    def rest(self, place: int) -> bytes:
        """What stands after a place in its line."""
        return self.data[place : self.line_end(place)].strip()

    def trails(self, place: int) -> bool:
        """Whether only a comment stands after a place in its line."""
        return not self.rest(place) or self.rest(place).startswith(b"#")

    def own_row(self, node: ast.Call) -> bool:
        """Whether a call of a chain in brackets has lines of its own."""
        dot = self.dot(node)
        joined = self.data[: self.line_start(dot)].rstrip().endswith(b"\\")
        return self.leads(dot) and self.trails(self.end(node)) and not joined

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement of an expression."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def name_given(self, node: ast.AST) -> str | None:
        """The name that a statement gives to all of an expression."""
        match self.statement(node):
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is node:
                return name
        return None

    def own_line(self, node: ast.Call) -> str | None:
        """The dataset's name where a statement in a line of its own gives it to one call on a dataset or source."""
        name, statement = self.name_given(node), self.statement(node)
        chained = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
        alone = self.leads(self.start(statement)) and self.trails(self.end(statement))
        return name if alone and not chained else None

    def scope(self, node: ast.AST) -> ast.AST:
        """The function or file whose names an expression sees."""
        while node in self.parents and not isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            node = self.parents[node]
        return node

    def spliced(self) -> str:
        """The text with the splices."""
        data, end = self.data, len(self.data) + 1
        for splice in sorted(set(self.splices), reverse=True):
            if splice.end > end:
                raise CannotChangeSourceError(f"two changes of {self.name} are in one call")
            data, end = data[: splice.start] + splice.text + data[splice.end :], splice.start
        try:
            ast.parse(data)
        except SyntaxError as error:
            where = f"line {error.lineno} of {self.name}"
            raise CannotChangeSourceError(f"the change cannot be written in {where}") from None
        return data.decode()


class _Writer:
    """Writes a changed chain into the files."""

    def __init__(self, files: Mapping[str, _File], chain: _Chain, function: str | None) -> None:
        self.files = files
        self._chain = chain
        self._function = function

    def write(self) -> None:
        """Collect the splices of all files."""
        if self._chain.options:
            self._set_options()
        for line in self._chain.lines.values():
            for item in line:
                if item.stays:
                    last = item
                else:
                    last.followed_by.append(item)
        calls: dict[RecordedCall | None, list[tuple[Path, _Item]]] = {}
        for at, before in self._chain.before.items():
            for item in before:
                calls.setdefault(item.call if self._is_known(item) else None, []).append((at, item))
        for at, item in calls.pop(None, ()):
            if item.change[:4] != _Item("").change[:4]:
                raise CannotChangeSourceError(f"no call in your files makes {'.'.join(map(str, item.origin))}")
            self._put(at, item)
        for call, made in calls.items():
            if call is not None:
                self._write(call, made)

    def _write(self, call: RecordedCall, made: Sequence[tuple[Path, _Item]]) -> None:
        """Change a call with all stages that it has made."""
        unchanged = _Item("").change
        inner = [one for number, (at, one) in enumerate(made) if _is_inside(at, one, made[number + 1 :], made)]
        if any(one.change != unchanged for one in inner):
            raise CannotChangeSourceError(f"a stage that changes is made inside of {call}")
        outer = [(at, one) for at, one in made if one not in inner]
        if any(one.change != outer[0][1].change for _, one in outer):
            raise CannotChangeSourceError(f"{call} makes several stages, of which only some change")
        at, item = outer[0]
        if item.change == unchanged:
            return
        file, node = self._node(item)
        if item.change[:4] != unchanged[:4]:
            if call.name != item.op:
                raise CannotChangeSourceError(f"{item.op} is made inside of {call}")
            if not item.is_harmless and self._is_shared(at, item):
                raise CannotChangeSourceError(f"{call} may be a part of another dataset as well")
            own = item.stays and not item.gone
            file.splices += self._argument_splices(file, node, item) if own else [_taken_out(file, node)]
        self._put(at, item)

    def _is_known(self, item: _Item) -> bool:
        return item.call is not None and item.call.file in self.files

    def _node(self, item: _Item) -> tuple[_File, ast.Call]:
        assert item.call is not None  # noqa: S101 - for the type checker
        file = self.files[item.call.file]
        return file, file.call(item.call)

    def _put(self, at: Path, item: _Item) -> None:
        """Put what follows a stage after its call, else before the call of the next stage."""
        if not item.followed_by:
            return
        harmless = all(map(_keeps_elements, item.followed_by))
        line = self._chain.lines[at]
        following = next((one for one in line[line.index(item) + 1 :] if one.stays), None)
        spots = [one for one in (item, following) if one is not None and self._is_known(one)]
        if not spots:
            raise CannotChangeSourceError(f"no call in your files shows where {item.followed_by[0].op} goes")
        spot = next((one for one in spots if harmless or not self._is_shared(at, one)), None)
        if spot is None:
            raise CannotChangeSourceError(f"{spots[0].call} may be a part of another dataset as well")
        file, node = self._node(spot)
        texts = [self._text(file, node, one) for one in item.followed_by]
        if spot is item:
            file.splices.append(_after(file, node, texts))
        else:
            place = file.end(node.func.value) if isinstance(node.func, ast.Attribute) else file.dot(node)
            file.splices.append(TextSplice(place, place, b"".join(text for text, _ in texts)))

    def _text(self, file: _File, node: ast.Call, item: _Item) -> tuple[bytes, bytes]:
        """A call from its dot on, and the comment that goes with it."""
        if item.op == "with_options":
            return self._options_before(file, node), b""
        if item.is_new:
            given = {name: _python(value, file) for name, value in item.arguments.items()}
            by_place = traits(item.op).positional[:1] == tuple(given)
            words = given.values() if by_place else [f"{name}={value}" for name, value in given.items()]
            return f".{item.op}({', '.join(words)})".encode(), b""
        old_file, old = self._node(item)
        if old_file.scope(old) is not file.scope(node):
            raise CannotChangeSourceError(f"{item.call} is in another function than where it has to go")
        start, end = file.dot(old), file.end(old)
        text = file.data[start:end]
        for splice in sorted(self._argument_splices(file, old, item), reverse=True):
            text = text[: splice.start - start] + splice.text + text[splice.end - start :]
        own = file.own_row(old) or file.own_line(old) is not None
        return text, b"  " + file.rest(end) if own and file.rest(end) else b""

    def _argument_splices(self, file: _File, node: ast.Call, item: _Item) -> list[TextSplice]:
        found = [_argument(file, node, item.op, name, _python(value, file)) for name, value in item.arguments.items()]
        if item.on_rows:
            name = traits(item.op).function
            function = [*node.args[:1], *(one.value for one in node.keywords if one.arg == name)]
            if not function or isinstance(function[0], ast.Starred):
                raise CannotChangeSourceError(f"{item.op} in line {node.lineno} of {file.name} is not given a function")
            start, end = file.start(function[0]), file.end(function[0])
            text = file.data[start:end].decode()
            if item.call is not None:
                known = function_given(file.text, item.call.line, item.call.column, item.call.name)
                text = on_rows(text, known.parameters if known is not None else None, _tensorflow(file))
            found.append(TextSplice(start, end, text.encode()))
        return found

    def _set_options(self) -> None:
        """Set options where the files have them already, in one place; else in new ones at the end of the pipeline."""
        new: dict[str, Any] = {}
        for path, value in self._chain.options.items():
            known = [
                (file, one.value)
                for file in self.files.values()
                for one in ast.walk(file.tree)
                if isinstance(one, ast.Assign) and any(ast.unparse(each).endswith(f".{path}") for each in one.targets)
            ]
            if len(known) == 1:
                file, old = known[0]
                file.splices.append(TextSplice(file.start(old), file.end(old), _python(value, file).encode()))
            else:
                new[path] = value
        self._chain.options = new
        if new:
            line = self._chain.lines[()]
            line.append(_Item("with_options", arguments=new, is_new=True, stays=False))

    def _options_before(self, file: _File, node: ast.Call) -> bytes:
        """Make the options before the statement of a call, and return the call that sets them."""
        statement = file.statement(node)
        start = file.start(statement)
        name = next((one for one in _OPTIONS if not re.search(rf"\b{one}\b", file.text)), None)
        repeated = any(isinstance(one, (*_REPEATED, ast.Lambda)) for one in _around(file, node, statement))
        if name is None or repeated or not file.leads(start):
            raise CannotChangeSourceError(f"line {node.lineno} of {file.name} has no place for options before it")
        lines = [f"{name} = {_tensorflow(file)}.data.Options()"]
        lines += [f"{name}.{path} = {_python(value, file)}" for path, value in self._chain.options.items()]
        indent, begin = file.indent(start), file.line_start(start)
        text = b"".join(indent + line.encode() + file.newline for line in lines)
        file.splices.append(TextSplice(begin, begin, text))
        return f".with_options({name})".encode()

    def _is_shared(self, at: Path, item: _Item) -> bool:
        """Whether another dataset may be made of what a stage gives, or by the same calls again."""
        line = self._chain.before[at]
        for one in line[line.index(item) :]:
            if not self._is_known(one):
                continue
            file, node = self._node(one)
            ends = at == () and one is line[-1]
            if self._runs_again(file, node, set()) or (not ends and _is_read_twice(file, node)):
                return True
        return False

    def _runs_again(self, file: _File, node: ast.AST, seen: set[ast.AST]) -> bool:
        """Whether the files may evaluate an expression more than once, as far as they show it."""
        while node in file.parents:
            inner, node = node, file.parents[node]
            if isinstance(node, _REPEATED):
                return True
            if isinstance(node, ast.For | ast.AsyncFor | ast.While) and inner in node.body:
                return True
            if isinstance(node, _FUNCTIONS) and inner in node.body:
                if node.name == self._function or node in seen:
                    return node in seen
                uses = [(one, use) for one in self.files.values() for use in _uses(one.tree, node.name)]
                return len(uses) > 1 or (len(uses) == 1 and self._runs_again(*uses[0], {*seen, node}))
        return False


def on_rows(function: str, parameters: int | None, tensorflow: str = "tf") -> str:
    """Write a map's function as one of a whole batch.

    Args:
        function: As the call has it.
        parameters: How many it takes; None where that is not known.

    Example:
        >>> on_rows("scale", 1)
        'lambda batch: tf.vectorized_map(scale, batch)'
        >>> on_rows("scale", 2)
        'lambda *batch: tf.vectorized_map(lambda row: scale(*row), batch)'
    """
    if parameters == 1:
        return f"lambda batch: {tensorflow}.vectorized_map({function}, batch)"
    called = function if re.fullmatch(r"[\w.]+", function) else f"({function})"
    return f"lambda *batch: {tensorflow}.vectorized_map(lambda row: {called}(*row), batch)"


def _is_inside(at: Path, item: _Item, later: Sequence[tuple[Path, _Item]], made: Sequence[tuple[Path, _Item]]) -> bool:
    """Whether a call makes a stage inside of the last one that it gives."""
    nested = any(one is not item and item.origin[: len(one.origin)] == one.origin for _, one in made)
    named = item.call is not None and item.call.name == item.op
    return nested or (not named and any(other == at for other, _ in later))


def _after(file: _File, node: ast.Call, texts: Sequence[tuple[bytes, bytes]]) -> TextSplice:
    """Put calls after another one: in lines of their own where that one has one."""
    end, name = file.end(node), file.own_line(node)
    if name is not None:
        statement = file.statement(node)
        end = file.end(statement)
        start = file.newline + file.indent(file.start(statement)) + f"{name} = {name}".encode()
    elif isinstance(node.func, ast.Attribute) and file.own_row(node):
        start = file.newline + file.indent(file.dot(node))
    else:
        return TextSplice(end, end, b"".join(text for text, _ in texts))
    end = file.line_end(end)
    return TextSplice(end, end, b"".join(start + text + comment for text, comment in texts))


def _taken_out(file: _File, node: ast.Call) -> TextSplice:
    """Take a call out, with its lines where it has some of its own."""
    dot, end, statement = file.dot(node), file.end(node), file.statement(node)
    name = file.own_line(node)
    if name is not None and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == name:
        return TextSplice(file.line_start(file.start(statement)), file.next_line(file.end(statement)), b"")
    return (
        TextSplice(file.line_start(dot), file.next_line(end), b"") if file.own_row(node) else TextSplice(dot, end, b"")
    )


def _argument(file: _File, node: ast.Call, op: str, name: str, value: str) -> TextSplice:
    """Give an argument of a call another value, or the call another argument."""
    where = f"{op} in line {node.lineno} of {file.name}"
    if any(isinstance(one, ast.Starred) for one in node.args) or any(one.arg is None for one in node.keywords):
        raise CannotChangeSourceError(f"the arguments of {where} are not written one by one")
    row = traits(op)
    names = row.positional or ((row.function,) if row.function is not None else ())
    given = [one.value for one in node.keywords if one.arg == name]
    given += [one for place, one in enumerate(node.args) if names[place : place + 1] == (name,)]
    if given:
        return TextSplice(file.start(given[0]), file.end(given[0]), value.encode())
    if len(node.args) > max(1, len(names)):
        raise CannotChangeSourceError(f"the arguments of {where} have no names")
    new = f"{name}={value}".encode()
    if not node.args and not node.keywords:
        return TextSplice(file.end(node) - 1, file.end(node) - 1, new)
    place, comma = _last_argument(file, node)
    if comma and file.trails(place) and file.line_end(place) < file.end(node):
        # One argument in each line, the last one with a comma: the new one gets a line too.
        close, last = file.line_end(place), [*node.args, *(one.value for one in node.keywords)][-1]
        return TextSplice(close, close, file.newline + file.indent(file.start(last)) + new + b",")
    return TextSplice(place, place, (b" " if comma else b", ") + new)


def _last_argument(file: _File, node: ast.Call) -> tuple[int, bool]:
    """Return the end of a call's last argument, or of the comma after it, and whether there is one."""
    last = max(map(file.end, [*node.args, *(one.value for one in node.keywords)]))
    marks = re.finditer(rb"#[^\n]*|[),]", file.data[last : file.end(node) - 1])
    ends = [(last, False), *((last + one.end(), one[0] == b",") for one in marks if one[0][:1] != b"#")]
    return ends[-1]


def _is_read_twice(file: _File, node: ast.Call) -> bool:
    """Whether the name that a statement gives a dataset is read in several places until it gets another value."""
    name, end = file.name_given(node), file.end(node)
    if name is None:
        return False
    named = [one for one in ast.walk(file.scope(node)) if isinstance(one, ast.Name) and one.id == name]
    later = [one for one in named if file.start(one) > end]
    again = [file.end(file.statement(one)) for one in later if isinstance(one.ctx, ast.Store)]
    reads = [one for one in later if isinstance(one.ctx, ast.Load) and not _looks(file.parents[one])]
    return sum(file.start(one) < min(again, default=len(file.data)) for one in reads) > 1


def _looks(reader: ast.AST) -> bool:
    """Whether an expression makes no dataset of the one that it reads."""
    return isinstance(reader, ast.Attribute) and reader.attr not in STAGES and reader.attr != "with_options"


def _uses(tree: ast.AST, name: str) -> Iterator[ast.AST]:
    """Where a file names a function."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=found, ctx=ast.Load()) | ast.Attribute(attr=found) if found == name:
                yield node


def _around(file: _File, node: ast.AST, statement: ast.stmt) -> Iterator[ast.AST]:
    while node is not statement:
        node = file.parents[node]
        yield node


def _python(value: Any, file: _File) -> str:
    """A value as a file writes it."""
    if value == AUTOTUNE:
        return f"{_tensorflow(file)}.data.AUTOTUNE"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    raise CannotChangeSourceError(f"the value {value!r} cannot be written in {file.name}")


def _tensorflow(file: _File) -> str:
    """What a file calls TensorFlow."""
    for node in ast.walk(file.tree):
        for alias in node.names if isinstance(node, ast.Import) else ():
            if alias.name == "tensorflow":
                return alias.asname or alias.name
    raise CannotChangeSourceError(f"{file.name} does not import tensorflow by a name of its own")
