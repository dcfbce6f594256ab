"""Calls in the text of a file: where one is, what the function it is given takes, and which has most of the time."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from pipeprof.pipelines.static.dataset_names import FUNCTIONS, own_nodes

_GIVEN: Final = frozenset({"map_func", "predicate", "reduce_func", "scan_func"})


def parameters_given(text: str, line: int, column: int | None, name: str) -> int | None:
    r"""Return how many arguments the function that a call is given takes by position; None where that is not known.

    Args:
        line: Line of the method's name, from 1.
        column: Column of the method's name, from 1; None for any call of that name in the line.

    Example:
        >>> code = "def half(x):\n    return x / 2\nds = make().map(half)\nds = ds.map(lambda a, b: (b, a))\n"
        >>> parameters_given(code, 3, 13, "map"), parameters_given(code, 4, None, "map")
        (1, 2)
    """
    tree = parsed(text)
    call = call_in(tree, line, column, name) if tree is not None else None
    keywords = [one.value for one in call.keywords if one.arg in _GIVEN] if call is not None else []
    given = call.args[0] if call is not None and call.args else next(iter(keywords), None)
    if isinstance(given, ast.Lambda):
        return _parameters(given)
    named = [one for one in ast.walk(tree) if _is_named(one, given.id)] if tree and isinstance(given, ast.Name) else []
    return _parameters(named[0]) if len(named) == 1 else None


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
    assert isinstance(function, FUNCTIONS)  # noqa: S101 - for the type checker
    given = function.args
    return None if given.vararg is not None else len(given.posonlyargs) + len(given.args) - len(given.defaults)


def names_in(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """Names that a node reads or sets, as ``context`` says."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, context)}


class Imports:
    """What a file imports, anywhere in it; relative imports are left out."""

    def __init__(self, tree: ast.Module) -> None:
        self.names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for one in node.names:
                    # `import a.b` gives the name `a` to the package, not to its module.
                    first = one.name.partition(".")[0]
                    self.names[one.asname or first] = one.name if one.asname else first
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                self.names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}

    def dotted(self, node: ast.AST) -> str:
        """The dotted name of an expression; empty for other expressions.

        Example:
            >>> Imports(ast.parse("import numpy as np")).dotted(ast.parse("np.random.rand", mode="eval").body)
            'numpy.random.rand'
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.names.get(node.id, node.id), *parts])


CallKind: TypeAlias = Literal["same each time", "from processes", "other"]
_PROCESSES: Final = ("multiprocessing", "concurrent.futures", "joblib", "torch.multiprocessing")
_RECEIVING: Final = frozenset({"get", "imap", "imap_unordered", "map", "result", "starmap"})


@dataclass(frozen=True)
class HotCall:
    """A call in the user's file.

    Attributes:
        text: As written, in one line; empty where its line makes other calls beside it, which may have the time.
        function: The function that the call stands in.
        line: From 1.
        share: Share of the time inside Python functions that passes in this call, 0 to 1.
        kind: It makes an object of a class, or calls a function of the file, with nothing of what its own function gets
            or sets; it takes results from other processes; or neither.
    """

    text: str
    function: str
    line: int
    share: float
    kind: CallKind


def hot_call(text: str, functions: Collection[str], shares: Mapping[int, float]) -> HotCall | None:
    r"""Return the call of a file's functions with most of the time; None where no line of a call was seen.

    Where one function that was seen calls another one of the file, with nothing of its own, the call has the time of
    that function's lines.

    Args:
        functions: Names of the functions that were seen; a lambda is ``<lambda>``.
        shares: Share of the time inside Python functions that was seen at each line.

    Example:
        >>> code = "def build():\n    return [1]\ndef f(x):\n    return build()[0] + x\n"
        >>> hot_call(code, {"build", "f"}, {2: 0.7, 4: 0.3})
        HotCall(text='build()', function='f', line=4, share=0.7, kind='same each time')
    """
    tree = parsed(text)
    nodes = list(ast.walk(tree)) if tree is not None else []
    made = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    sends = tree is not None and any(name.startswith(_PROCESSES) for name in Imports(tree).names.values())
    scopes = [one for one in nodes if isinstance(one, FUNCTIONS) and getattr(one, "name", "<lambda>") in functions]
    seen = {scope: list(own_nodes(scope)) for scope in scopes}
    calls = [(scope, node) for scope, own in seen.items() for node in own if isinstance(node, ast.Call)]
    names = [call.func.id if isinstance(call.func, ast.Name) else "" for _, call in calls]
    found: list[tuple[float, int, int, HotCall, ast.Call]] = []
    for (scope, call), name in zip(calls, names, strict=True):
        own = {one.arg for one in ast.walk(scope.args) if isinstance(one, ast.arg)}
        own |= {node.id for node in seen[scope] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        alone, defined, lines = not names_in(call, ast.Load) & own, made.get(name), (call.lineno, call.end_lineno or 0)
        kind: CallKind = "other"
        outer = alone and defined is not None and names.count(name) == 1 and _gives_at_once(defined)
        if outer and defined is not None:
            kind, lines = "same each time", (defined.lineno, defined.end_lineno or 0)
        elif alone and ast.unparse(call.func).rpartition(".")[2][:1].isupper():
            kind = "same each time"
        elif sends and isinstance(call.func, ast.Attribute) and call.func.attr in _RECEIVING:
            kind = "from processes"
        share = sum(part for line, part in shares.items() if lines[0] <= line <= lines[1])
        text = ast.unparse(call)
        made_here = HotCall(text, getattr(scope, "name", "<lambda>"), call.lineno, share, kind)
        # What a function calls is in the call of it, and what a line calls in the longest call of it.
        found.append((share, outer + (kind != "other"), len(text), made_here, call))
    best = max(found, key=lambda one: one[:3], default=None)
    if best is None or best[0] <= 0:
        return None
    *_, hot, call = best
    beside = [
        other for _, other in calls if other.lineno == call.lineno and not (_has(call, other) or _has(other, call))
    ]
    return replace(hot, text="") if beside and hot.kind == "other" else hot


def _has(outer: ast.AST, inner: ast.AST) -> bool:
    return any(node is inner for node in ast.walk(outer))


def _gives_at_once(made: ast.AST) -> bool:
    """Whether a function or class of the file gives its result at once, and keeps nothing for the next call."""
    kept = ast.Yield, ast.YieldFrom, ast.Global, ast.Nonlocal
    return not any(isinstance(node, kept) for node in ast.walk(made))
