"""The calls in a function's text that make its dataset, in the order of the data: read, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.ops.traits import SOURCES, STAGES, traits
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError

OPTIONS = "with_options"
"""The method that makes no stage of a pipeline."""


@dataclass(frozen=True)
class MethodCall:
    """A call of a dataset's method that makes a stage."""

    op: str
    node: ast.Call
    receiver: ast.expr
    statement: ast.stmt


@dataclass(frozen=True)
class CallLine:
    """Calls that follow each other.

    Attributes:
        source: The expression before the first of them, where it is one of the function.
        calls: In the order of the data.
    """

    source: ast.expr
    source_statement: ast.stmt
    calls: tuple[MethodCall, ...]
    options: tuple[MethodCall, ...] = ()
    inputs: tuple[CallLine, ...] = ()


@dataclass(frozen=True)
class DatasetFunction:
    """A function whose statements make one dataset, one after the other."""

    node: ast.FunctionDef
    tree: ast.Module
    last: ast.Return
    value: ast.expr
    line: CallLine


def read_function(text: str, name: str) -> DatasetFunction:
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
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise CannotEditSourceError(f"the file is not valid Python: {error}") from None
    function = _definition(tree, name)
    returns = list(returns_of(function))
    last = function.body[-1]
    if len(returns) != 1 or not isinstance(last, ast.Return) or last.value is None:
        raise CannotEditSourceError(f"{name} does not end with its only return")
    value = last.value
    if isinstance(value, ast.Tuple) and len(value.elts) == 2:
        value = value.elts[0]
    return DatasetFunction(function, tree, last, value, _line(value, last, function))


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


def _line(value: ast.expr, statement: ast.stmt, function: ast.FunctionDef) -> CallLine:
    """Follow an expression back to the source of its pipeline."""
    calls: list[MethodCall] = []
    options: list[MethodCall] = []
    while True:
        match value:
            case ast.Name():
                bound = _bound(value.id, statement, function)
                if bound is None:
                    break
                value, statement = bound
            case ast.Call(func=ast.Attribute(value=receiver, attr=method)) if not _is_class(receiver):
                found = MethodCall(method, value, receiver, statement)
                if method == OPTIONS:
                    options.append(found)
                elif method in STAGES and not traits(method).opaque:
                    calls.append(found)
                else:
                    break
                value = receiver
            case _:
                break
    return CallLine(
        value, statement, tuple(reversed(calls)), tuple(reversed(options)), _inputs(value, statement, function)
    )


def _inputs(source: ast.expr, statement: ast.stmt, function: ast.FunctionDef) -> tuple[CallLine, ...]:
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
                return tuple(_line(part, statement, function) for part in parts)
    return ()


def _bound(name: str, statement: ast.stmt, function: ast.FunctionDef) -> tuple[ast.expr, ast.stmt] | None:
    """Return the value of a name where a statement reads it, if one statement of the function itself binds it."""
    place = function.body.index(statement)
    for before in reversed(function.body[:place]):
        match before:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                return value, before
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                return value, before
        if _binds(before, name):
            return None
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
