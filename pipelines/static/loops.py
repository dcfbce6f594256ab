"""Loops of a training script, by their text: results that are read in each step, and names never used."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pipeprof.pipelines.static.dataset_names import own_nodes
from pipeprof.pipelines.static.written_calls import parsed

_READS = frozenset({"numpy", "item", "tolist"})
_CASTS = frozenset({"float", "int", "bool"})
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_TRACED = ("function", "jit")
"""Ends of the names of decorators whose functions are a step or a part of one."""


@dataclass(frozen=True)
class ReadResult:
    """A call that reads a result of the step: its text and its line."""

    text: str
    line: int


def reads_in_loop(text: str, line: int, functions: Collection[str] = ()) -> list[ReadResult]:
    r"""Find what reads a result of the step in every pass of a loop; nothing that a condition guards.

    Args:
        line: Where the dataset is iterated: in the head of the loop or in its body.
        functions: Names of functions whose results are computed by the step; those that the text decorates are known.

    Example:
        >>> reads_in_loop("for batch in dataset:\n    losses.append(float(step(batch)))\n", 1, {"step"})
        [ReadResult(text='float(step(batch))', line=2)]
        >>> reads_in_loop("for x in dataset:\n    loss = step(x)\n    if log:\n        loss.numpy()\n", 1, {"step"})
        []
    """
    tree = parsed(text)
    loop = _loop_at(tree, line) if tree is not None else None
    if tree is None or loop is None:
        return []
    steps = {*functions, *_decorated(tree)}
    statements = list(_each_time(loop.body))
    results = _results(statements, steps)
    found = []
    for node in statements:
        value = _read_value(node)
        if value is not None and _is_result(value, results, steps):
            found.append(ReadResult(ast.unparse(node), node.lineno))
    return found


def unused_name(text: str, line: int, *, in_module: bool = True) -> str | None:
    r"""Return the name that the statement at a line gives its value, if nothing in the file reads the name.

    Names of a class never count: they are read through it.

    Args:
        in_module: Whether names of the module count, too, which another one may read.

    Example:
        >>> unused_name("a = make()\nb = a.map(f)\n", 2), unused_name("a = make()\nb = a.map(f)\n", 1)
        ('b', None)
    """
    tree = parsed(text)
    if tree is None:
        return None
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    read |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    read |= {name for node in ast.walk(tree) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    scopes: list[ast.Module | _Function] = [node for node in ast.walk(tree) if isinstance(node, _Function)]
    for node in (node for scope in (*scopes, *([tree] if in_module else ())) for node in own_nodes(scope)):
        if isinstance(node, ast.Assign) and node.lineno <= line <= (node.end_lineno or node.lineno):
            (target, *others) = node.targets
            if not others and isinstance(target, ast.Name) and target.id not in read and not target.id.startswith("_"):
                return target.id
    return None


def _loop_at(tree: ast.Module, line: int) -> ast.For | ast.While | None:
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.While)]
    around = [node for node in loops if node.lineno <= line <= (node.end_lineno or node.lineno)]
    return max(around, key=lambda node: node.lineno, default=None)


def _each_time(body: list[ast.stmt]) -> Iterator[ast.expr]:
    """Yield the expressions that every pass evaluates: none of conditions, inner loops and functions."""
    todo: list[ast.AST] = list(reversed(body))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If | ast.For | ast.While | ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.IfExp):
            continue
        if isinstance(node, ast.expr):
            yield node
        todo.extend(reversed(list(ast.iter_child_nodes(node))))


def _decorated(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            marks = [ast.unparse(mark).partition("(")[0].rpartition(".")[2] for mark in node.decorator_list]
            names |= {node.name} if any(mark in _TRACED for mark in marks) else set()
    return names


def _results(statements: list[ast.expr], steps: Collection[str]) -> set[str]:
    stored = [node for node in statements if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    calls = [node for node in statements if isinstance(node, ast.Call) and _name(node.func) in steps]
    lines = {line for call in calls for line in range(call.lineno, (call.end_lineno or call.lineno) + 1)}
    return {node.id for node in stored if node.lineno in lines}


def _read_value(node: ast.expr) -> ast.expr | None:
    """Return what a call reads: `x` of ``float(x)`` and of ``x.numpy()``."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Name) and node.func.id in _CASTS and len(node.args) == 1:
        return node.args[0]
    if isinstance(node.func, ast.Attribute) and node.func.attr in _READS:
        return node.func.value
    return None


def _is_result(value: ast.expr, results: Collection[str], steps: Collection[str]) -> bool:
    if isinstance(value, ast.Call):
        return _name(value.func) in steps
    return isinstance(value, ast.Name) and value.id in results


def _name(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2]
