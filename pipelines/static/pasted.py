"""Code that is to be pasted into a file: with the names that the file has for modules, and with what it lacks."""

from __future__ import annotations

import ast
import builtins
import re

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.trees import names_in
from pipeprof.pipelines.static.unchanging import File, sets
from pipeprof.pipelines.static.written_calls import parsed

_MODULES = {
    "tf": "tensorflow",
    "np": "numpy",
    "functools": "functools",
    "itertools": "itertools",
    "keras": "keras",
}
"""Modules that are used in code to paste, by their names there."""


def in_file(code: str, text: str) -> str:
    r"""Return code with the names that a file has for the modules that it uses, after imports of others.

    Args:
        code: As it is written where modules have their usual names.
        text: Of the file; without one the code stays as it is.

    Example:
        >>> print(in_file("x = tf.constant(np.ones(3))", "import tensorflow\n"))
        import numpy as np
        x = tensorflow.constant(np.ones(3))
    """
    tree = parsed(text) if text else None
    if tree is None:
        return code
    names, lines = Imports(tree).names, []
    for short, module in _MODULES.items():
        uses = re.compile(rf"(?<![\w.\"']){short}(?=\.[A-Za-z])")
        if not uses.search(code) or re.search(rf"^import .*\b{short}$", code, re.MULTILINE):
            continue
        known = next((alias for alias, name in names.items() if name == module or name.startswith(f"{module}.compat")), None)
        if known is None:
            known = module if short in names or short in names_in(tree, ast.Store) else short
            lines.append(f"import {module}" if known == module else f"import {module} as {known}")
        code = uses.sub(known, code)
    return "\n".join([*lines, code])


def unknown_names(code: str, text: str = "", line: int = 0) -> set[str]:
    r"""Return the names that code reads and that neither it nor the place for it has; `dataset` is known everywhere.

    Args:
        text: Of the file that it is pasted into.
        line: Where in it, from 1.

    Raises:
        SyntaxError: It is no Python; an ellipsis stands for anything.

    Example:
        >>> sorted(unknown_names("dataset = dataset.map(load)\nprint(order[i])", "def load(x): ...\n", 1))
        ['i', 'order']
    """
    lines = [f"dataset{one}" if one.startswith(".") else one for one in code.replace("…", "...").splitlines()]
    tree = ast.parse("\n".join(lines))
    nodes = list(ast.walk(tree))
    made = {name for one in nodes if isinstance(one, ast.stmt) for name in sets(one)} | names_in(tree, ast.Store)
    made |= {one.arg for one in nodes if isinstance(one, ast.arg)}
    file = parsed(text)
    seen = File(file).seen_at(line) if file is not None else set()
    return names_in(tree, ast.Load) - made - seen - {*_MODULES, "dataset", *dir(builtins)}
