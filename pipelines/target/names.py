"""Names that a Python file defines, as references of a spec may use them; the file is read, not run."""

from __future__ import annotations

import ast
from pathlib import Path

from pipeprof.pipelines.target.bindings import bindings_of

_LISTED = 10


def missing_name(path: Path, name: str, shown: str) -> tuple[str, list[str]] | None:
    """Return why a file has no function of this name, with the names that it has; None if it may have it.

    Args:
        name: A function, or ``Class.method`` and ``object.method``.
    """
    found = bindings_of(path)
    first, _, rest = name.partition(".")
    functions = found.callables()
    bound = [binding for binding in found.of(first) if not binding.script]
    if not rest:
        if first in functions or any(
            isinstance(binding.node, ast.ClassDef) and binding.node.bases for binding in bound
        ):
            return None
        listed = ", ".join(functions[:_LISTED]) or "no functions"
        return f"no function {name!r} in {shown}, which defines {listed}", functions
    if not bound:
        if found.open:
            return None
        return f"no name {first!r} in {shown}", [f"{binding.name}.{rest}" for binding in found.all]
    node = bound[-1].node
    if isinstance(node, ast.ClassDef) and not node.bases and not node.keywords and "." not in rest:
        members = [
            statement.name for statement in node.body if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        members += [target.id for target in _assigned(node)]
        if rest not in members:
            listed = ", ".join(members[:_LISTED]) or "no methods"
            return f"no method {rest!r} in the class {first} of {shown}, which has {listed}", [
                f"{first}.{member}" for member in members
            ]
    return None


def _assigned(node: ast.ClassDef) -> list[ast.Name]:
    return [
        target
        for statement in node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]
