"""Dotted names in one Python file's text, with what their first part was imported as; the same of code to paste."""

from __future__ import annotations

import ast
import re

from pipeprof.pipelines.static.trees import names_in
from pipeprof.pipelines.static.written_calls import parsed

MODULES = {"tf": "tensorflow", "np": "numpy", "functools": "functools", "itertools": "itertools", "keras": "keras"}
"""Modules that are used in code to paste, by their names there."""
_SAME = {"tensorflow.compat.v1": "tensorflow", "tensorflow.compat.v2": "tensorflow", "tensorflow.keras": "keras"}
"""Other names that a file may import one of them by."""


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


def in_file(code: str, text: str) -> str:
    r"""Return code with the names that a file has for the modules that it uses, after imports of others.

    Args:
        code: Python that calls TensorFlow `tf`, NumPy `np` and Keras `keras`.
        text: Source of the file whose own names are used; empty to change nothing.

    Example:
        >>> print(in_file("x = tf.constant(np.ones(3))", "import tensorflow\n"))
        import numpy as np
        x = tensorflow.constant(np.ones(3))
    """
    tree = parsed(text) if text else None
    if tree is None:
        return code
    names, lines = Imports(tree).names, []
    for short, module in MODULES.items():
        uses = re.compile(rf"(?<![\w.\"']){short}(?=\.[A-Za-z])")
        if not uses.search(code) or re.search(rf"^import .*\b{short}( *#|$)", code, re.MULTILINE):
            continue
        known = next((alias for alias, name in names.items() if _SAME.get(name, name) == module), None)
        if known is None:
            taken = short in names or short in names_in(tree, ast.Store)
            known = module if taken else short
            # An import would take a name from what the file has by it.
            if not taken or module != short:
                lines.append(f"import {module}" if known == module else f"import {module} as {known}")
        code = uses.sub(known, code)
    return "\n".join([*lines, code])
