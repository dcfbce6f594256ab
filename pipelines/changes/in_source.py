"""A change in the text of the user's Python, at the calls that were seen making its stages: bytes spliced, no more.

Nothing is read from the text but where a call begins and ends: which call makes a stage, the run has seen. Where the
text has no place for a change, one sentence names line and call.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.changes.chain import CannotChangeError, Chain, apply, chain_of
from pipeprof.pipelines.changes.edits import PipelineEdit, ReplaceStages, SetEnvironment
from pipeprof.pipelines.changes.in_words import unified
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.meaning.traits import STAGES, traits
from pipeprof.pipelines.static.python_text import CannotChangeSourceError, PythonText, RecordedCall, TextSplice
from pipeprof.pipelines.static.written_calls import parameters_given

_ALIKE: Final = frozenset({"prefetch"})
"""Stages that change neither the elements nor their order, for whatever else reads them."""
_OPTIONS: Final = ("options", "pipeline_options", "dataset_options")
_REPEATED: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class ChangedSource:
    """Files with a change."""

    before: Mapping[str, str]
    """Texts of the files that differ, by their names."""
    texts: Mapping[str, str]
    """The same with the change."""
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
        >>> from pipeprof.pipelines.changes.edits import SetArgument
        >>> text = "ds = numbers().map(f)\nfit(ds.batch(2))\n"
        >>> mapped, batched = RecordedCall("a.py", 1, None, "map"), RecordedCall("a.py", 2, None, "batch")
        >>> stages = {"source": ("range", None), "stages.0": ("map", mapped), "stages.1": ("batch", batched)}
        >>> edits = SetArgument("stages.0", "map", "num_parallel_calls", 2), ReplaceStages(("stages.1",))
        >>> print(change_source({"a.py": text}, stages, [edits]).texts["a.py"], end="")
        ds = numbers().map(f, num_parallel_calls=2)
        fit(ds)
    """
    edits = [edit for step in steps for edit in step]
    for edit in edits:
        if isinstance(edit, ReplaceStages) and edit.by:
            raise CannotChangeSourceError(f"{type(edit).__name__} needs code that only you can write")
    before = after = chain_of((address, op) for address, (op, _) in stages.items())
    try:
        for step in steps:
            after = apply(after, *step)
            after.begin_step()
    except CannotChangeError as error:
        raise CannotChangeSourceError(str(error)) from error
    if all(isinstance(edit, SetEnvironment) for edit in edits):
        raise CannotChangeSourceError("the changes are those of the environment alone")
    calls = {address: call for address, (_, call) in stages.items() if call is not None and call.file in texts}
    files = {name: PythonText(name, text) for name, text in texts.items()}
    _Writer(files, _made_stages(before, after, calls), after.options, function).write()
    for file in files.values():
        file.drop_idle_lines()
    found = {name: file.splices for name, file in files.items() if file.splices}
    changed = {name: files[name].spliced() for name in found}
    return ChangedSource({name: texts[name] for name in found}, changed, found)


@dataclass(frozen=True)
class _Call:
    """A call as it has to stand in the text: a new one, or a recorded one where it is or where it moves."""

    op: str
    call: RecordedCall | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Those that it is given; of a recorded one only those that changes have set."""
    on_rows: bool = False


@dataclass(eq=False)
class _Made:
    """A stage as it was made, and what becomes of it."""

    address: str
    op: str
    call: RecordedCall | None
    """None where it is in none of the files."""
    line: list[_Made]
    """The stages of its pipeline, as they were."""
    now: _Call | None = None
    """None where its call is taken out or moves."""
    followed_by: list[_Call] = field(default_factory=list)
    """What comes after it in the text: new stages, and those that move there."""

    @property
    def is_changed(self) -> bool:
        """Whether its own call differs."""
        return self.now != _Call(self.op, self.call)

    @property
    def keeps_elements(self) -> bool:
        """Whether its own call leaves the elements and their order as they are, for whatever else reads them."""
        now = self.now
        harmless = now is not None and not now.on_rows and not now.arguments.keys() - {"num_parallel_calls"}
        return harmless or self.op in _ALIKE


def _made_stages(before: Chain, after: Chain, calls: Mapping[str, RecordedCall]) -> list[_Made]:
    """The stages of a pipeline, then those inside of the ones that stay, with what becomes of them."""
    line: list[_Made] = []
    line += [_Made(one, call.op, calls.get(one), line) for call in before.calls if (one := call.address) is not None]
    made = {one.address: one for one in line}
    last = line[0]
    for call in after.calls:
        given = {name: call.arguments.get(name) for name in (*call.arguments, *call.changed)}
        now = _Call(call.op, calls.get(call.origin or ""), given, call.whole_batches)
        if call.origin is None or call.moved:
            last.followed_by.append(now)
        else:
            last = made[call.origin]
            last.now = now
    inside = {(call.origin, key): inner for call in after.calls for key, inner in call.inside.items()}
    pairs = [(inner, inside.get((call.origin, key))) for call in before.calls for key, inner in call.inside.items()]
    return [*line, *(one for inner, now in pairs if now is not None for one in _made_stages(inner, now, calls))]


def _keeps_elements(new: _Call) -> bool:
    """Whether a call that comes leaves the elements and their order as they are."""
    return new.op in _ALIKE or (new.op == "with_options" and "deterministic" not in new.arguments)


class _Writer:
    """Writes what becomes of stages into the files."""

    def __init__(
        self, files: Mapping[str, PythonText], made: Sequence[_Made], options: Mapping[str, Any], function: str | None
    ) -> None:
        self._files = files
        self._made = made
        self._options = options
        self._function = function

    def write(self) -> None:
        """Collect the splices of all files."""
        if self._options:
            self._set_options()
        calls: dict[RecordedCall | None, list[_Made]] = {}
        for one in self._made:
            calls.setdefault(one.call, []).append(one)
        unseen = calls.pop(None, [])
        for one in unseen:
            if one.is_changed:
                raise CannotChangeSourceError(f"no call in your files makes {one.address}")
        for one in unseen:
            self._put(one)
        for call, made in calls.items():
            if call is not None:
                self._write(call, made)

    def _write(self, call: RecordedCall, made: Sequence[_Made]) -> None:
        """Change a call with all stages that it has made."""
        inner = [one for number, one in enumerate(made) if _is_inside(one, made[number + 1 :], made)]
        if any(one.is_changed or one.followed_by for one in inner):
            raise CannotChangeSourceError(f"a stage that changes is made inside of {call}")
        changes = [(one.is_changed and one.now, one.followed_by) for one in made if one not in inner]
        if any(change != changes[0] for change in changes):
            raise CannotChangeSourceError(f"{call} makes several stages, of which only some change")
        first = next(one for one in made if one not in inner)
        if first.is_changed:
            if call.name != first.op:
                raise CannotChangeSourceError(f"{first.op} is made inside of {call}")
            if not first.keeps_elements and self._is_shared(first):
                raise CannotChangeSourceError(f"{call} may be a part of another dataset as well")
            file, node = self._node(call)
            now = first.now
            file.splices += [_taken_out(file, node)] if now is None else _argument_splices(file, node, now)
        self._put(first)

    def _node(self, call: RecordedCall) -> tuple[PythonText, ast.Call]:
        file = self._files[call.file]
        return file, file.call(call)

    def _put(self, made: _Made) -> None:
        """Put what follows a stage after its call, else before the call of the next stage."""
        if not made.followed_by:
            return
        harmless = all(map(_keeps_elements, made.followed_by))
        following = next((one for one in made.line[made.line.index(made) + 1 :] if one.now is not None), made)
        spots = [(one, one.call) for one in (made, following) if one.call is not None]
        if not spots:
            raise CannotChangeSourceError(f"no call in your files shows where {made.followed_by[0].op} goes")
        spot = next(((one, call) for one, call in spots if harmless or not self._is_shared(one)), None)
        if spot is None:
            raise CannotChangeSourceError(f"{spots[0][1]} may be a part of another dataset as well")
        file, node = self._node(spot[1])
        texts = [self._text(file, node, one) for one in made.followed_by]
        if spot[0] is made:
            file.splices.append(_after(file, node, texts))
        else:
            place = file.end(node.func.value) if isinstance(node.func, ast.Attribute) else file.dot(node)
            file.splices.append(TextSplice(place, place, b"".join(text for text, _ in texts)))

    def _text(self, file: PythonText, node: ast.Call, new: _Call) -> tuple[bytes, bytes]:
        """A call from its dot on, and the comment that goes with it."""
        if new.op == "with_options":
            return self._options_before(file, node), b""
        if new.call is None:
            given = {name: _python(value, file) for name, value in new.arguments.items()}
            by_place = traits(new.op).positional[:1] == tuple(given)
            words = given.values() if by_place else [f"{name}={value}" for name, value in given.items()]
            return f".{new.op}({', '.join(words)})".encode(), b""
        old_file, old = self._node(new.call)
        if old_file.scope(old) is not file.scope(node):
            raise CannotChangeSourceError(f"{new.call} is in another function than where it has to go")
        start, end = file.dot(old), file.end(old)
        text = file.data[start:end]
        for splice in sorted(_argument_splices(file, old, new), reverse=True):
            text = text[: splice.start - start] + splice.text + text[splice.end - start :]
        own = file.own_row(old) or file.own_line(old) is not None
        return text, b"  " + file.rest(end) if own and file.rest(end) else b""

    def _set_options(self) -> None:
        """Set options where the files have them already, in one place; else in new ones at the end of the pipeline."""
        new: dict[str, Any] = {}
        for path, value in self._options.items():
            known = [
                (file, one.value)
                for file in self._files.values()
                for one in ast.walk(file.tree)
                if isinstance(one, ast.Assign) and any(ast.unparse(each).endswith(f".{path}") for each in one.targets)
            ]
            if len(known) == 1:
                file, old = known[0]
                file.splices.append(TextSplice(file.start(old), file.end(old), _python(value, file).encode()))
            else:
                new[path] = value
        self._options = new
        if new:
            end = [one for one in self._made[0].line if one.now is not None][-1]
            end.followed_by.append(_Call("with_options", arguments=new))

    def _options_before(self, file: PythonText, node: ast.Call) -> bytes:
        """Make the options before the statement of a call, and return the call that sets them."""
        statement = file.statement(node)
        start = file.start(statement)
        name = next((one for one in _OPTIONS if not re.search(rf"\b{one}\b", file.text)), None)
        repeated = any(isinstance(one, (*_REPEATED, ast.Lambda)) for one in _around(file, node, statement))
        if name is None or repeated or not file.leads(start):
            raise CannotChangeSourceError(f"line {node.lineno} of {file.name} has no place for options before it")
        lines = [f"{name} = {_tensorflow(file)}.data.Options()"]
        lines += [f"{name}.{path} = {_python(value, file)}" for path, value in self._options.items()]
        indent, begin = file.indent(start), file.line_start(start)
        text = b"".join(indent + line.encode() + file.newline for line in lines)
        file.splices.append(TextSplice(begin, begin, text))
        return f".with_options({name})".encode()

    def _is_shared(self, made: _Made) -> bool:
        """Whether another dataset may be made of what a stage gives, or by the same calls again."""
        for one in made.line[made.line.index(made) :]:
            if one.call is None:
                continue
            file, node = self._node(one.call)
            ends = one is self._made[0].line[-1]
            if self._runs_again(file, node, set()) or (not ends and _is_read_twice(file, node)):
                return True
        return False

    def _runs_again(self, file: PythonText, node: ast.AST, seen: set[ast.AST]) -> bool:
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
                uses = [(one, use) for one in self._files.values() for use in _uses(one.tree, node.name)]
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


def _is_inside(one: _Made, later: Sequence[_Made], made: Sequence[_Made]) -> bool:
    """Whether a call makes a stage inside of the last one that it gives."""
    nested = any(one.address.startswith(f"{other.address}.") for other in made)
    named = one.call is not None and one.call.name == one.op
    return nested or (not named and any(other.line is one.line for other in later))


def _after(file: PythonText, node: ast.Call, texts: Sequence[tuple[bytes, bytes]]) -> TextSplice:
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


def _taken_out(file: PythonText, node: ast.Call) -> TextSplice:
    """Take a call out, with its lines where it has some of its own."""
    dot, end, statement = file.dot(node), file.end(node), file.statement(node)
    name = file.own_line(node)
    if name is not None and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == name:
        return TextSplice(file.line_start(file.start(statement)), file.next_line(file.end(statement)), b"")
    return (
        TextSplice(file.line_start(dot), file.next_line(end), b"") if file.own_row(node) else TextSplice(dot, end, b"")
    )


def _argument_splices(file: PythonText, node: ast.Call, now: _Call) -> list[TextSplice]:
    found = [_argument(file, node, now.op, name, _python(value, file)) for name, value in now.arguments.items()]
    if now.on_rows and now.call is not None:
        name = traits(now.op).function
        function = [*node.args[:1], *(one.value for one in node.keywords if one.arg == name)]
        if not function or isinstance(function[0], ast.Starred):
            raise CannotChangeSourceError(f"{now.op} in line {node.lineno} of {file.name} is not given a function")
        start, end = file.start(function[0]), file.end(function[0])
        parameters = parameters_given(file.text, now.call.line, now.call.column, now.call.name)
        text = on_rows(file.data[start:end].decode(), parameters, _tensorflow(file))
        found.append(TextSplice(start, end, text.encode()))
    return found


def _argument(file: PythonText, node: ast.Call, op: str, name: str, value: str) -> TextSplice:
    """Give an argument of a call another value, or the call another argument."""
    where = f"{op} in line {node.lineno} of {file.name}"
    if any(isinstance(one, ast.Starred) for one in node.args) or any(one.arg is None for one in node.keywords):
        raise CannotChangeSourceError(f"the arguments of {where} are not written one by one")
    row = traits(op)
    names = row.positional or ((row.function,) if row.function is not None else ())
    given = [one.value for one in node.keywords if one.arg == name]
    given += [one for place, one in enumerate(node.args) if names[place : place + 1] == (name,)]
    if given:
        function = file.scope(node)
        parameters = (
            [one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)]
            if isinstance(function, (*_FUNCTIONS, ast.Lambda))
            else []
        )
        if isinstance(given[0], ast.Name) and given[0].id in parameters:
            raise CannotChangeSourceError(f"{where} takes {name} from the parameter {given[0].id}: give that {value}")
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


def _last_argument(file: PythonText, node: ast.Call) -> tuple[int, bool]:
    """Return the end of a call's last argument, or of the comma after it, and whether there is one."""
    last = max(map(file.end, [*node.args, *(one.value for one in node.keywords)]))
    marks = re.finditer(rb"#[^\n]*|[),]", file.data[last : file.end(node) - 1])
    ends = [(last, False), *((last + one.end(), one[0] == b",") for one in marks if one[0][:1] != b"#")]
    return ends[-1]


def _is_read_twice(file: PythonText, node: ast.Call) -> bool:
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
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=found, ctx=ast.Load()) | ast.Attribute(attr=found) if found == name:
                yield node


def _around(file: PythonText, node: ast.AST, statement: ast.stmt) -> Iterator[ast.AST]:
    while node is not statement:
        node = file.parents[node]
        yield node


def _python(value: Any, file: PythonText) -> str:
    if value == AUTOTUNE:
        return f"{_tensorflow(file)}.data.AUTOTUNE"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    raise CannotChangeSourceError(f"the value {value!r} cannot be written in {file.name}")


def _tensorflow(file: PythonText) -> str:
    for node in ast.walk(file.tree):
        for alias in node.names if isinstance(node, ast.Import) else ():
            if alias.name == "tensorflow":
                return alias.asname or alias.name
    raise CannotChangeSourceError(f"{file.name} does not import tensorflow by a name of its own")
