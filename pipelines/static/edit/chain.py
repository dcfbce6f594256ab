"""The calls in a function's text that make its dataset, in the order of the data: read, not run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from pipeprof.pipelines.ops.traits import SOURCES, STAGES, traits
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.written_calls import call_in

OPTIONS = "with_options"
"""The method that makes no stage of a pipeline."""


@dataclass(frozen=True)
class MethodCall:
    """A call of a dataset's method that makes a stage.

    Attributes:
        shared: Whether something else may read the dataset that it gives, or one that is made of it.
    """

    op: str
    node: ast.Call
    receiver: ast.expr
    statement: ast.stmt
    shared: bool = False


@dataclass(frozen=True)
class CallLine:
    """Calls that follow each other.

    Attributes:
        source: The expression before the first of them, where it is one of the function.
        calls: In the order of the data.
        shared: Whether something else may read what the source gives, or a dataset that is made of it.
    """

    source: ast.expr
    source_statement: ast.stmt
    calls: tuple[MethodCall, ...]
    options: tuple[MethodCall, ...] = ()
    inputs: tuple[CallLine, ...] = ()
    shared: bool = False


@dataclass(frozen=True)
class DatasetBlock:
    """Statements that make one dataset, one after the other: of a function, or of a file.

    Attributes:
        last: The statement that reads the dataset.
        value: The dataset in it.
    """

    body: Sequence[ast.stmt]
    tree: ast.Module
    last: ast.stmt
    value: ast.expr
    line: CallLine


@dataclass(frozen=True)
class DatasetReader:
    """Where a file reads the dataset that its calls have made, which edits before that leave as it is.

    Attributes:
        several: Whether the calls may make several datasets.
        path: Fields from the module to the statement or expression; indices of statements count from the end.
        variable: Name of the dataset there; None where the expression itself makes it.
        where: The function with the calls, else the file, for messages.
    """

    path: tuple[tuple[str, int | None], ...]
    variable: str | None
    where: str
    several: bool = False


def read_function(text: str, name: str) -> DatasetBlock:
    r"""Read a function.

    Args:
        name: Of the function; that of a method with its class before it.

    Raises:
        CannotEditSourceError: Its text does not show which calls make its dataset.

    Example:
        >>> text = "def make():\n    ds = numbers()\n    ds = ds.map(f)\n    return ds.batch(2)\n"
        >>> [call.op for call in read_function(text, "make").line.calls]
        ['map', 'batch']
    """
    tree = _parsed(text)
    function = _definition(tree, name)
    returns = list(returns_of(function))
    last = function.body[-1]
    if len(returns) != 1 or not isinstance(last, ast.Return) or last.value is None:
        raise CannotEditSourceError(f"{name} does not end with its only return")
    value = last.value
    if isinstance(value, ast.Tuple) and len(value.elts) == 2:
        value = value.elts[0]
    return DatasetBlock(function.body, tree, last, value, _line(value, last, function.body))


def reader_after(text: str, file: str, line: int, column: int | None, call: str) -> DatasetReader:
    r"""Find where a file reads a dataset, by the last call that has made it.

    Args:
        file: Name of the file, for messages.
        line: Of the call's name, from 1, as `column`; `call` is the name.

    Raises:
        CannotEditSourceError: The text does not show it.

    Example:
        >>> text = "ds = numbers().map(f)\nds = ds.batch(2)\nmodel.fit(ds)\n"
        >>> reader = reader_after(text, "train.py", 2, None, "batch")
        >>> [call.op for call in read_block(text, reader).line.calls]
        ['map', 'batch']
    """
    tree = _parsed(text)
    node: ast.AST | None = call_in(tree, line, column, call)
    if node is None:
        raise CannotEditSourceError(f"line {line} of {file} does not show the call of {call}")
    parents = _parents(tree)
    while (outer := _method_on(node, parents)) is not None:
        node = outer
    statement: ast.AST = node
    while not isinstance(statement, ast.stmt):
        statement = parents[id(statement)][0]
        if isinstance(statement, _REPEATED):
            raise CannotEditSourceError(f"line {line} of {file} may make several datasets")
    function = _function_of(statement, parents)
    where, several = function.name if function is not None else file, _several(tree, node, parents)
    variable = _variable_of(statement, node)
    if variable is None:
        return DatasetReader(_path(node, parents), None, where, several)
    block, place = _block_of(statement, parents)
    following = [one for one in block[place + 1 :] if not isinstance(one, _DEFINITIONS)]
    while following and _sets_options(following[0], variable):
        del following[0]
    if not following:
        raise CannotEditSourceError(f"nothing in {where} reads {variable} after line {line}")
    return DatasetReader(_path(following[0], parents), variable, where, several)


def line_after(before: str, after: str, line: int) -> int | None:
    r"""The line of an edited text that has what a line of the text begins, from 1; None where it cannot be found.

    Example:
        >>> line_after("for x in ds:\n    pass\n", "ds = ds.cache()\nfor x in ds.batch(2):\n    pass\n", 1)
        2
    """
    lines, new_lines = _LINE_END.split(before), _LINE_END.split(after)
    for _, first, last, start, end in SequenceMatcher(None, lines, new_lines, autojunk=False).get_opcodes():
        if first < line <= last and lines[first:last] == new_lines[start:end]:
            return start + line - first
    # The edit is one of this statement: what it puts before stands in the same block.
    tree = _parsed(before)
    begun = [one for one in ast.walk(tree) if isinstance(one, ast.stmt | ast.expr) and _begin(one) == line]
    try:
        # What is walked first is the outermost.
        node = _at(_parsed(after), _path(begun[0], _parents(tree)))[0]
    except (IndexError, CannotEditSourceError):
        return None
    return _begin(node) if isinstance(node, ast.stmt | ast.expr) else None


_LINE_END = re.compile(r"\r\n|\r|\n")
"""As Python counts lines."""


def _begin(node: ast.stmt | ast.expr) -> int:
    """The line of what runs: a call's is that of its method, from Python 3.11 on."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.end_lineno or node.lineno
    return node.lineno


def read_block(text: str, reader: DatasetReader) -> DatasetBlock:
    """Read the statements before the place where a file reads a dataset.

    Raises:
        CannotEditSourceError: The text does not show which calls make it.
    """
    tree = _parsed(text)
    node, statement, block = _at(tree, reader.path)
    if statement is None:
        raise CannotEditSourceError(f"the calls in {reader.where} could not be followed")
    value = ast.Name(reader.variable, ast.Load()) if reader.variable is not None else node
    return DatasetBlock(block, tree, statement, value, _line(value, statement, block, shared=reader.several))


_Parents: TypeAlias = "Mapping[int, tuple[ast.AST, str, int | None]]"
_REPEATED = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = "is not valid Python" if isinstance(error, SyntaxError) else "cannot be read as Python"
        raise CannotEditSourceError(f"the file {what}: {error}") from None


def _parents(tree: ast.AST) -> _Parents:
    """Each node's parent, and the field and index that it has there; indices of statements count from the end."""
    found: dict[int, tuple[ast.AST, str, int | None]] = {}
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            for index, one in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(one, ast.AST):
                    from_end = index - len(value) if isinstance(one, ast.stmt) else index
                    found[id(one)] = (node, field, from_end if isinstance(value, list) else None)
    return found


def statement_of(tree: ast.Module, node: ast.AST) -> ast.stmt:
    """The innermost statement of a tree that has an expression of it."""
    parents = _parents(tree)
    while not isinstance(node, ast.stmt):
        node = parents[id(node)][0]
    return node


def _path(node: ast.AST, parents: _Parents) -> tuple[tuple[str, int | None], ...]:
    steps: list[tuple[str, int | None]] = []
    while id(node) in parents:
        node, field, index = parents[id(node)]
        steps.append((field, index))
    return tuple(reversed(steps))


def _block_of(statement: ast.stmt, parents: _Parents) -> tuple[list[ast.stmt], int]:
    owner, field, index = parents[id(statement)]
    block = getattr(owner, field)
    return block, len(block) + (index or 0)


def _method_on(node: ast.AST, parents: _Parents) -> ast.AST | None:
    """The call that sets options of what an expression gives."""
    attribute = parents[id(node)][0]
    if not isinstance(attribute, ast.Attribute) or attribute.attr != OPTIONS:
        return None
    call = parents[id(attribute)][0]
    return call if isinstance(call, ast.Call) and call.func is attribute else None


def _at(tree: ast.Module, path: Sequence[tuple[str, int | None]]) -> tuple[Any, ast.stmt | None, list[ast.stmt]]:
    """What a path leads to, the statement that it is in, and the block of that."""
    node: Any = tree
    statement: ast.stmt | None = None
    block: list[ast.stmt] = tree.body
    for field, index in path:
        inner: Any = getattr(node, field, None)
        node = inner[index] if index is not None and isinstance(inner, list) else inner
        if isinstance(node, ast.stmt):
            statement, block = node, inner
    return node, statement, block


def _function_of(node: ast.AST, parents: _Parents) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The innermost function of what is in its body."""
    while id(node) in parents:
        node, field, _ = parents[id(node)]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and field == "body":
            return node
    return None


def _several(tree: ast.Module, node: ast.AST, parents: _Parents, seen: Sequence[ast.AST] = ()) -> bool:
    """Whether a file may make several datasets with an expression, and keep them."""
    function = _function_of(node, parents)
    if _is_kept(node, parents) or function in seen:
        return True
    if function is None:
        return False
    owner = parents[id(function)][0]
    names = [function.name, *([owner.name] if isinstance(owner, ast.ClassDef) else [])]
    named = [[one for one in ast.walk(tree) if _names(one, name) and not _is_of(one, parents)] for name in names]
    calls = [_call_of(places[0], parents) for places in named if places]
    if any(len(places) > 1 for places in named) or None in calls:
        return True
    return any(_several(tree, call, parents, (*seen, function)) for call in calls if call is not None)


def _call_of(node: ast.AST, parents: _Parents) -> ast.Call | None:
    """The call of what an expression names; None where something else may call it, several times."""
    match parents[id(node)][0]:
        case ast.Call(func=function) as call if function is node:
            return call
        case ast.Call(func=ast.Name(id=runs) | ast.Attribute(attr=runs)) as call if runs in _RUNNERS:
            return call
    return None


_RUNNERS = frozenset({"run", "Fire"})
"""What calls the function that it is given once: ``app.run(main)``."""


def _is_of(node: ast.AST, parents: _Parents) -> bool:
    """Whether only an attribute of a class is read there, as in ``Data.SIZE``."""
    parent = parents[id(node)][0]
    if not (isinstance(node, ast.Name) and isinstance(parent, ast.Attribute) and node.id[:1].isupper()):
        return False
    outer = parents[id(parent)][0]
    return not (isinstance(outer, ast.Call) and outer.func is parent)


def _is_kept(node: ast.AST, parents: _Parents) -> bool:
    """Whether an expression is evaluated several times, by a loop of its function or file that keeps what it gives."""
    statement = node
    while not isinstance(statement, ast.stmt):
        statement = parents[id(statement)][0]
        if isinstance(statement, _REPEATED):
            return True
    if not _is_in_loop(statement, parents):
        return False
    node = _outermost_call(node, parents)
    if (variable := _variable_of(statement, node)) is None:
        return _keeps(parents[id(node)][0])
    block, place = _block_of(statement, parents)
    names = {variable}
    for later in block[place + 1 :]:
        for one in ast.walk(later):
            if any(_names(one, name) for name in names) and _keeps(parents[id(_outermost_call(one, parents))][0]):
                return True
        match later:
            case ast.Assign(targets=[ast.Name(id=other)], value=value) if _root(value) in names:
                names.add(other)
    return False


def _is_in_loop(node: ast.AST, parents: _Parents) -> bool:
    """Whether a statement is one of a loop's body, in its function or file."""
    while id(node) in parents:
        inner, (node, field, _) = node, parents[id(node)]
        if isinstance(node, ast.For | ast.AsyncFor | ast.While) and field == "body" and isinstance(inner, ast.stmt):
            return True
        if isinstance(node, _DEFINITIONS):
            return False
    return False


def _keeps(reader: ast.AST) -> bool:
    """Whether a dataset is kept by what reads it."""
    match reader:
        case ast.Assign(targets=[ast.Name()]) | ast.AnnAssign(target=ast.Name()):
            return False
        case ast.Assign() | ast.AnnAssign() | ast.Tuple() | ast.List() | ast.Dict() | ast.Set() | ast.Yield():
            return True
        case ast.Call(func=ast.Attribute(attr="append" | "extend" | "add" | "setdefault" | "update")):
            return True
    return False


def _outermost_call(node: ast.AST, parents: _Parents) -> ast.AST:
    """The whole expression of calls of methods that follow each other."""
    while isinstance(attribute := parents[id(node)][0], ast.Attribute):
        call = parents[id(attribute)][0]
        if not (isinstance(call, ast.Call) and call.func is attribute):
            break
        node = call
    return node


def _root(value: ast.expr) -> str | None:
    """The name that methods are called on."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        value = value.func.value
    return value.id if isinstance(value, ast.Name) else None


def _variable_of(statement: ast.AST, value: ast.AST) -> str | None:
    """The name that a statement gives to a value."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=given) | ast.AnnAssign(target=ast.Name(id=name), value=given)
        ) if given is value:
            return name
    return None


def _names(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Name(id=found) | ast.Attribute(attr=found):
            return found == name
    return False


def _definition(tree: ast.Module, name: str) -> ast.FunctionDef:
    body: Sequence[ast.stmt] = tree.body
    *owners, last = name.split(".")
    for owner in owners:
        classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == owner]
        body = classes[0].body if len(classes) == 1 else ()
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == last]
    if len(found) != 1:
        raise CannotEditSourceError(f"{name} is not defined by one `def` of this file")
    return found[0]


def returns_of(function: ast.FunctionDef) -> Iterator[ast.Return]:
    """The returns of a function itself, not those of functions in it."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(node))


def _line(value: ast.expr, statement: ast.stmt, body: Sequence[ast.stmt], *, shared: bool = False) -> CallLine:
    """Follow an expression back to the source of its pipeline."""
    calls: list[MethodCall] = []
    options: list[MethodCall] = []
    while True:
        match value:
            case ast.Name():
                bound = _bound(value.id, statement, body)
                if bound is None:
                    break
                shared = shared or _has_other_readers(value.id, bound[1], body)
                value, statement = bound
            case ast.Call(func=ast.Attribute(value=receiver, attr=method)) if not _is_class(receiver):
                found = MethodCall(method, value, receiver, statement, shared)
                if method == OPTIONS:
                    options.append(found)
                elif method in STAGES and not traits(method).opaque:
                    calls.append(found)
                else:
                    break
                value = receiver
            case _:
                break
    inputs = _inputs(value, statement, body, shared=shared)
    return CallLine(value, statement, tuple(reversed(calls)), tuple(reversed(options)), inputs, shared)


def _inputs(source: ast.expr, statement: ast.stmt, body: Sequence[ast.stmt], *, shared: bool) -> tuple[CallLine, ...]:
    """The lines that a source combines in their order: arguments of its own, or the parts of a tuple or a list."""
    match source:
        case ast.Call(func=ast.Attribute(attr=op), args=[*given], keywords=[]) if (
            op in SOURCES and traits(op).combines and traits(op).equal_inputs and not traits(op).composed
        ):
            match given:
                case [ast.Tuple(elts=parts) | ast.List(elts=parts)]:
                    pass
                case _:
                    parts = given
            if not any(isinstance(part, ast.Starred | ast.Dict) for part in parts):
                return tuple(_line(part, statement, body, shared=shared) for part in parts)
    return ()


def _bound(name: str, statement: ast.stmt, body: Sequence[ast.stmt]) -> tuple[ast.expr, ast.stmt] | None:
    """Return the value of a name where a statement reads it, if one statement of the block itself binds it."""
    place = body.index(statement)
    for before in reversed(body[:place]):
        match before:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                return value, before
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                return value, before
        if _binds(before, name):
            return None
    return None


_LOOKS = frozenset({"print", "len", "type", "iter", "next", "repr", "str"})
"""Functions that make nothing of a dataset."""


def _has_other_readers(name: str, bound: ast.stmt, body: Sequence[ast.stmt]) -> bool:
    """Whether a dataset's name is read in more than one place until it gets another value."""
    place = body.index(bound)
    # A function that is defined before may run after.
    defined = [one for one in body[:place] if isinstance(one, _DEFINITIONS)]
    reads = sum(_reads(one, name) for one in defined if not _binds_inside(one, name))
    for statement in body[place + 1 :]:
        reads += _reads(statement, name)
        if _variable_in(statement) == name:
            break
    return reads > 1


def _reads(statement: ast.stmt, name: str) -> int:
    """The places where a statement makes something of the dataset with a name."""
    parents = _parents(statement)
    found = (one for one in ast.walk(statement) if isinstance(one, ast.Name) and one.id == name)
    return sum(isinstance(one.ctx, ast.Load) and not _is_look(parents[id(one)][0]) for one in found)


def _binds_inside(definition: ast.stmt, name: str) -> bool:
    """Whether a function has a value of its own for a name."""
    arguments = (one.arg for one in ast.walk(definition) if isinstance(one, ast.arg))
    return name in arguments or any(_binds(one, name) for one in ast.iter_child_nodes(definition))


def _is_look(reader: ast.AST) -> bool:
    """Whether an expression makes nothing of the dataset that it reads."""
    match reader:
        case ast.Attribute(attr=method):
            return method not in STAGES and method != OPTIONS
        case ast.Call(func=ast.Name(id=function)):
            return function in _LOOKS
    return False


def _sets_options(statement: ast.stmt, name: str) -> bool:
    """Whether a statement only gives the dataset with a name other options."""
    match statement:
        case ast.Assign(value=ast.Call(func=ast.Attribute(value=ast.Name(id=of), attr=method))):
            return method == OPTIONS and of == _variable_in(statement) == name
    return False


def _variable_in(statement: ast.stmt) -> str | None:
    """The name that a statement always gives another value."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return None


def _binds(node: ast.AST, name: str) -> bool:
    """Whether a statement may give a name another value; what it does in functions of its own counts as well."""
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=found, ctx=ast.Store() | ast.Del()) if found == name:
                return True
            case ast.FunctionDef(name=found) | ast.ClassDef(name=found) if found == name:
                return True
            case ast.Global(names=names) | ast.Nonlocal(names=names) if name in names:
                return True
    return False


def _is_class(receiver: ast.expr) -> bool:
    """Whether a method is called on a class, whose result is a source: ``tf.data.Dataset``, ``TFRecordDataset``."""
    while isinstance(receiver, ast.Attribute):
        if receiver.attr[:1].isupper():
            return True
        receiver = receiver.value
        if isinstance(receiver, ast.Name) and receiver.id in {"tf", "tensorflow"}:
            return True
    return isinstance(receiver, ast.Name) and receiver.id[:1].isupper() and not receiver.id.isupper()
