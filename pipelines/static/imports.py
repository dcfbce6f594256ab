"""Dotted names in one Python file's text, with what their first part was imported as."""

from __future__ import annotations

import ast


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
