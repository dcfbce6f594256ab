"""Calls as a file's text has them, and the function that one is given."""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_GIVEN: Final = frozenset({"map_func", "predicate", "reduce_func", "scan_func"})


@dataclass(frozen=True)
class WrittenFunction:
    """A function as a call is given it.

    Attributes:
        text: The expression.
        parameters: How many it takes; None where the text does not show it.
        definition: Its ``def``, where the file has one and no other of its name; empty for a lambda.
    """

    text: str
    parameters: int | None = None
    definition: str = ""


def function_given(text: str, line: int, column: int | None, name: str) -> WrittenFunction | None:
    r"""Return the function that a call is given.

    Args:
        line: Line of the method's name, from 1.
        column: Column of the method's name, from 1; None for any call of that name in the line.

    Example:
        >>> code = "def half(x):\n    return x / 2\nds = make().map(half)\nds = ds.map(lambda a, b: (b, a))\n"
        >>> function_given(code, 3, 13, "map")
        WrittenFunction(text='half', parameters=1, definition='def half(x):\n    return x / 2')
        >>> function_given(code, 4, None, "map")
        WrittenFunction(text='lambda a, b: (b, a)', parameters=2, definition='')
    """
    tree = parsed(text)
    call = call_in(tree, line, column, name) if tree is not None else None
    keywords = [one.value for one in call.keywords if one.arg in _GIVEN] if call is not None else []
    given = call.args[0] if call is not None and call.args else next(iter(keywords), None)
    if tree is None or given is None or isinstance(given, ast.Starred):
        return None
    if isinstance(given, ast.Lambda):
        return WrittenFunction(ast.unparse(given), _parameters(given))
    named = [one for one in ast.walk(tree) if isinstance(given, ast.Name) and _is_named(one, given.id)]
    if len(named) != 1:
        return WrittenFunction(ast.unparse(given))
    definition = textwrap.dedent(_lines_of(text, named[0]))
    return WrittenFunction(ast.unparse(given), _parameters(named[0]), definition)


@lru_cache(maxsize=4)
def parsed(text: str) -> ast.Module | None:
    """Return the tree of a file's text, never to be changed by a caller; None where it is no Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def call_in(tree: ast.Module, line: int, column: int | None, name: str) -> ast.Call | None:
    """Return the call of a method or function at a place of a tree; None where it has none, or several."""
    found = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and _name_place(one.func)[:2] == (name, line)]
    exact = [one for one in found if column is None or _name_place(one.func)[2] == column]
    chosen = exact or found
    return chosen[0] if len(chosen) == 1 else None


def _name_place(function: ast.expr) -> tuple[str, int, int]:
    """Name of what is called, and the line and the column of it, from 1."""
    if isinstance(function, ast.Attribute):
        return function.attr, function.end_lineno or 0, (function.end_col_offset or 0) - len(function.attr) + 1
    return (function.id, function.lineno, function.col_offset + 1) if isinstance(function, ast.Name) else ("", 0, 0)


def _is_named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name


def _parameters(function: ast.AST) -> int | None:
    """How many arguments a function takes by position; None where that may be any number."""
    assert isinstance(function, _FUNCTIONS)  # noqa: S101 - for the type checker
    given = function.args
    return None if given.vararg is not None else len(given.posonlyargs) + len(given.args) - len(given.defaults)


def _lines_of(text: str, node: ast.AST) -> str:
    lines = text.splitlines()
    return "\n".join(lines[getattr(node, "lineno", 1) - 1 : getattr(node, "end_lineno", 0)])
