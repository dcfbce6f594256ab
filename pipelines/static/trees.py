"""What parts of a Python file's tree name, read and change."""

from __future__ import annotations

import ast


def is_named(node: ast.AST, name: str) -> bool:
    """Whether a node is a name, and this one."""
    return isinstance(node, ast.Name) and node.id == name


def names_in(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """Names that a node reads or sets, as ``context`` says."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, context)}


def reads(node: ast.AST, name: str) -> bool:
    """Whether a name is in a node."""
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


def bases_of(node: ast.AST) -> set[str]:
    """What is changed or called: ``a`` of ``a.b["x"].c``; none of a constant."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is only a constant, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
