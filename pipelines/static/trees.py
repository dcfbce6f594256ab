"""What parts of a Python file's tree name, read and change."""

from __future__ import annotations

import ast


def names_in(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """Names that a node reads or sets, as ``context`` says."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, context)}
