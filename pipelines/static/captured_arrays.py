"""Arrays that the functions of a pipeline capture as constants of a graph, found in the texts of the user's files.

What is passed to ``map``, ``filter`` or ``flat_map`` is traced: each NumPy array that TensorFlow is given in there
becomes a constant. Only uses that the text shows are found, with a size that the text or the header of a file shows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeprof.pipelines.ops.traits import STAGES, traits
from pipeprof.pipelines.static.array_sizes import ArraySize, array_size, dtype_of, literal
from pipeprof.pipelines.static.names import (
    Function,
    Imported,
    Instance,
    Scope,
    Value,
    Written,
    called_scope,
    file_scope,
    is_function,
    parts_of,
    resolve,
)
from pipeprof.pipelines.target.target import ParsedTarget

_MOST_CALLS: Final = 2_000
"""Calls that are followed; a longer search is ended."""
_FRAMEWORKS: Final = ("tensorflow", "keras", "tf_keras")
_RUN_IN_PYTHON: Final = frozenset({"numpy_function", "py_function", "py_func", "from_generator"})
"""Functions of TensorFlow that call the user's function without tracing it."""
_CONVERSIONS: Final = frozenset({"constant", "convert_to_tensor"})
_METHODS: Final = frozenset(op for op in STAGES if traits(op).function is not None)


@dataclass(frozen=True)
class CapturedArray:
    """An array that a function of the pipeline carries as a constant of its graph.

    Attributes:
        array: Its type and shape.
        name: The user's name for it; None for an expression without one.
        column: Of its use, from 1.
    """

    array: ArraySize
    name: str | None
    path: Path
    line: int
    column: int


def captured_arrays(target: ParsedTarget) -> list[CapturedArray]:
    """Find the arrays that become constants of the graphs of a function's pipeline; those of its own file first.

    Raises:
        UsageError: The file cannot be read or is not valid Python.
    """
    scope = file_scope(target.path)
    search = _Search()
    function = resolve(ast.Name(target.function or "", ast.Load()), scope)
    search.enter(function, None, scope, traced=False, unknown=frozenset(name for name, _ in target.arguments))
    return sorted(search.found.values(), key=lambda one: (one.path != target.path, one.path, one.line, one.column))


class _Search:
    """A walk through the calls of a function.

    Attributes:
        found: Captured arrays by the place of their use.
    """

    def __init__(self) -> None:
        self.found: dict[tuple[Path, int, int], CapturedArray] = {}
        self._calls = 0
        self._todo: list[tuple[Function, Scope, bool]] = []

    def enter(
        self,
        value: Value | None,
        call: ast.Call | None,
        scope: Scope,
        *,
        traced: bool,
        unknown: frozenset[str] = frozenset(),
    ) -> None:
        """Walk through a function and all that it calls.

        Args:
            call: None where TensorFlow calls it, with tensors.
            traced: A graph is made of what it does.
        """
        self._push(value, call, scope, traced=traced, unknown=unknown)
        while self._todo and self._calls < _MOST_CALLS:
            self._calls += 1
            function, names, by_tensorflow = self._todo.pop()
            for node in _reached(function, names):
                self._visit(node, names)
                if by_tensorflow and isinstance(node, ast.Return) and node.value is not None:
                    self._capture(node.value, names)
            if by_tensorflow and isinstance(function, ast.Lambda):
                self._capture(function.body, names)

    def _push(
        self,
        value: Value | None,
        call: ast.Call | None,
        scope: Scope,
        *,
        traced: bool,
        unknown: frozenset[str] = frozenset(),
    ) -> None:
        entered = called_scope(value, call, scope)
        if entered is None:
            return
        function, names = entered
        if traced and not _is_plain(function, names):
            return
        for name in unknown:
            names.names[name] = None
        names.traced = traced
        self._todo.append((function, names, traced and call is None))

    def _visit(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Call):
            self._call(node, scope)
        elif scope.traced and isinstance(node, ast.BinOp | ast.Compare):
            operands = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.left, *node.comparators]
            if any(_may_be_tensor(expression, scope) for expression in operands):
                for expression in operands:
                    self._capture(expression, scope)

    def _call(self, node: ast.Call, scope: Scope) -> None:
        function = resolve(node.func, scope)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(function, Imported):
            package, _, rest = function.name.partition(".")
            if scope.traced and package in _FRAMEWORKS:
                self._given_to_tensorflow(node, rest.rpartition(".")[2], given, scope)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS and _is_stage(node):
            # The function of `apply` is called with the dataset, the others with tensors.
            for expression in given:
                if is_function(value := resolve(expression, scope)) or isinstance(value, Instance):
                    self._push(value, None, scope, traced=not traits(node.func.attr).opaque)
        elif is_function(function) or isinstance(function, Instance):
            self._push(function, node, scope, traced=scope.traced)

    def _given_to_tensorflow(self, node: ast.Call, name: str, given: list[ast.expr], scope: Scope) -> None:
        converted = None
        if name in _CONVERSIONS:
            kinds = [keyword.value for keyword in node.keywords if keyword.arg == "dtype"] or node.args[1:2]
            converted = dtype_of(kinds[0], scope) if kinds else None
        for expression in parts_of(given):
            value = resolve(expression, scope)
            if is_function(value):
                if name not in _RUN_IN_PYTHON:
                    self._push(value, None, scope, traced=True)
            else:
                self._capture(expression, scope, converted)

    def _capture(self, node: ast.expr, scope: Scope, dtype: str | None = None) -> None:
        """Note an expression, or those in a tuple, list or mapping, that are arrays."""
        for expression in parts_of([node]):
            array = array_size(expression, scope)
            if array is None:
                continue
            name = ast.unparse(expression) if isinstance(expression, ast.Name | ast.Attribute) else None
            size = ArraySize(dtype, array.shape) if dtype is not None else array
            self.found.setdefault(
                (scope.path, expression.lineno, expression.col_offset),
                CapturedArray(size, name, scope.path, expression.lineno, expression.col_offset + 1),
            )


def _is_stage(call: ast.Call) -> bool:
    """Return whether a call can be one of a dataset's method: a pool's ``map`` takes the function's inputs as well."""
    return not any(
        isinstance(expression, ast.List | ast.ListComp | ast.GeneratorExp | ast.Starred) for expression in call.args
    )


def _is_plain(function: Function, scope: Scope) -> bool:
    """Return whether TensorFlow traces the function itself: another decorator may run it in Python."""
    if isinstance(function, ast.Lambda):
        return True
    for decorator in function.decorator_list:
        found = resolve(decorator.func if isinstance(decorator, ast.Call) else decorator, scope)
        known = isinstance(found, Imported) and found.name.partition(".")[0] in _FRAMEWORKS
        if not known and ast.unparse(decorator) not in ("staticmethod", "classmethod"):
            return False
    return True


def _may_be_tensor(node: ast.AST, scope: Scope) -> bool:
    """Return whether an expression uses a parameter of a traced function, or what TensorFlow made of one."""
    todo: list[tuple[ast.AST, Scope]] = [(node, scope)]
    while todo and scope.spend():
        one, names = todo.pop()
        if isinstance(one, ast.Call):
            function = resolve(one.func, names)
            if isinstance(function, Imported) and function.name.partition(".")[0] in _FRAMEWORKS:
                return True
        if isinstance(one, ast.Name):
            owner = _scope_of(one.id, names)
            if owner is None or not owner.traced:
                continue
            value = owner.names[one.id]
            if value is None:
                return True
            if isinstance(value, Written) and isinstance(value.node, ast.expr):
                todo.append((value.node, value.scope))
        todo.extend((child, names) for child in ast.iter_child_nodes(one))
    return False


def _scope_of(name: str, scope: Scope) -> Scope | None:
    at: Scope | None = scope
    while at is not None and name not in at.names:
        at = at.outer
    return at


def _reached(function: Function, scope: Scope) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without branches that its own literals rule out."""
    todo: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else list(reversed(function.body))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and (test := literal(node.test, scope)) is not None:
            todo.extend(reversed(node.body if test else node.orelse))
            continue
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            todo.extend(reversed(list(ast.iter_child_nodes(node))))
