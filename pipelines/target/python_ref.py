"""References to Python functions in files: ``file.py:function``, and calls that give one."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_NAME: Final = r"[^\d\W]\w*"
_REFERENCE: Final = rf"(?P<file>.*?\.py):(?P<function>{_NAME}(?:\.{_NAME})*)(?P<arguments>\(.*\))?"


class FilledCall(NamedTuple):
    """Arguments in a reference.

    Attributes:
        partial: They are filled in and the rest comes later, as by ``functools.partial``; else the function is called
            with them once, and returns the function.
    """

    partial: bool
    positional: tuple[Any, ...]
    named: Mapping[str, Any]


def split_reference(text: str) -> tuple[str, str, str] | None:
    """Split into file, function and arguments; None for any other text.

    Example:
        >>> split_reference("a.py:make(size=2)"), split_reference("a.py:Rows.parse"), split_reference("a.yaml")
        (('a.py', 'make', '(size=2)'), ('a.py', 'Rows.parse', ''), None)
    """
    found = re.fullmatch(_REFERENCE, text, re.DOTALL)
    return (found["file"], found["function"], found["arguments"] or "") if found is not None else None


def filled_call(arguments: str) -> FilledCall:
    """Read arguments in parentheses, which are literals.

    Raises:
        ValueError: They are not.

    Example:
        >>> filled_call("(..., size=224)")
        FilledCall(partial=True, positional=(), named={'size': 224})
    """
    try:
        node = ast.parse(f"f{arguments}", mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError(arguments)
        partial = [*map(ast.unparse, node.args[:1])] == ["..."]
        values = [*node.args[partial:], *(keyword.value for keyword in node.keywords)]
        constants = [part for value in values for part in ast.walk(value) if isinstance(part, ast.Constant)]
        if any(part.value is ... for part in constants) or any(keyword.arg is None for keyword in node.keywords):
            raise ValueError(arguments)
        positional = tuple(ast.literal_eval(one) for one in node.args[partial:])
        return FilledCall(partial, positional, {str(one.arg): ast.literal_eval(one.value) for one in node.keywords})
    except (SyntaxError, TypeError, MemoryError, RecursionError) as problem:
        raise ValueError(arguments) from problem
