"""References to Python functions in files: ``file.py:function``, and calls that give one."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.problems import mismatch

_NAME: Final = r"[^\d\W]\w*"
_REFERENCE: Final = re.compile(
    rf"(?P<file>.*?\.py):(?P<function>{_NAME}(?:\.{_NAME})*)(?P<arguments>\(.*\))?", re.DOTALL
)
_EXPECTED: Final = 'a file and a function such as "steps.py:train_step"'


@dataclass(frozen=True)
class FilledCall:
    """Arguments in a reference.

    Attributes:
        partial: They are filled in and the rest comes later, as by ``functools.partial``; else the function is called
            with them once, and returns the function.
    """

    partial: bool
    positional: tuple[Any, ...]
    named: dict[str, Any]


@dataclass(frozen=True)
class PythonRef:
    """A function in a Python file; the file is relative to the spec.

    Attributes:
        arguments: ``(224, augment=True)`` where the function makes the one that is meant, ``(..., size=224)`` where
            arguments are filled in; empty for the function itself.
    """

    file: str
    function: str
    arguments: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.function}{self.arguments}"

    @property
    def call(self) -> FilledCall | None:
        """The arguments as values; None for none."""
        return parse_filled_call(self.arguments) if self.arguments else None


def parse_filled_call(text: str) -> FilledCall:
    """Read arguments in parentheses.

    Example:
        >>> parse_filled_call("(..., size=224)")
        FilledCall(partial=True, positional=(), named={'size': 224})
    """
    try:
        node = ast.parse(f"f{text}", mode="eval").body
    except (SyntaxError, MemoryError, RecursionError) as problem:
        raise ValueError(text) from problem
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError(text)
    positional = node.args
    partial = bool(positional) and isinstance(positional[0], ast.Constant) and positional[0].value is ...
    named: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError(text)
        named[keyword.arg] = _literal(keyword.value)
    return FilledCall(partial, tuple(_literal(expression) for expression in positional[partial:]), named)


def _literal(node: ast.expr) -> Any:
    if any(isinstance(part, ast.Constant) and part.value is ... for part in ast.walk(node)):
        raise ValueError(ast.unparse(node))
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError) as problem:
        raise ValueError(ast.unparse(node)) from problem


def split_reference(text: str) -> tuple[str, str, str] | None:
    """Split into file, function and arguments; None for any other text.

    Example:
        >>> split_reference("a.py:make(size=2)"), split_reference("a.py:Rows.parse"), split_reference("a.yaml")
        (('a.py', 'make', '(size=2)'), ('a.py', 'Rows.parse', ''), None)
    """
    found = _REFERENCE.fullmatch(text)
    return (found["file"], found["function"], found["arguments"] or "") if found is not None else None


def parse_python_ref(value: Any) -> PythonRef:
    """Read ``file.py:function``, ``file.py:Class.method``, ``file.py:make(224)``, ``file.py:parse(..., size=224)``."""
    if isinstance(value, PythonRef):
        return value
    parts = split_reference(value) if isinstance(value, str) else None
    if parts is None:
        raise mismatch(value, "python", _EXPECTED)
    if parts[2]:
        try:
            parse_filled_call(parts[2])
        except ValueError:
            raise mismatch(value, "python", "arguments that are literals, as in make(224, mode='train')") from None
    return PythonRef(*parts)


def parse_plain_python_ref(value: Any) -> PythonRef:
    """Read ``file.py:function`` and nothing else."""
    found = parse_python_ref(value)
    if found.arguments or "." in found.function:
        raise mismatch(value, "python", _EXPECTED)
    return found


Python = Annotated[
    PythonRef, Checked(parse_python_ref, {"type": "string", "pattern": r"\.py:[^:\d\W]\w*(\.[^:\d\W]\w*)*(\(.*\))?$"})
]
PlainPython = Annotated[PythonRef, Checked(parse_plain_python_ref, {"type": "string", "pattern": r"\.py:[^:\d\W]\w*$"})]
