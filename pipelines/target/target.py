"""Targets of commands: a spec, a function in a Python file or module, or a training script; and references in specs."""

from __future__ import annotations

import ast
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.suggest import did_you_mean
from pipeprof.pipelines.target.modules import find_module, is_module_name
from pipeprof.pipelines.target.names_in_file import functions_in, missing_name, parse_file

STDIN = "-"
"""A spec on standard input."""
SPEC_SUFFIXES = (".yaml", ".yml")
_NAME: Final = r"[^\d\W]\w*"
_REFERENCE: Final = rf"(?P<file>.*?\.py):(?P<function>{_NAME}(?:\.{_NAME})*)(?P<arguments>\(.*\))?"


@dataclass(frozen=True)
class ParsedTarget:
    """A spec, a function that returns a dataset, or a training script."""

    kind: Literal["spec", "function", "script"]
    path: Path
    function: str | None = None
    module: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.module or self.path}:{self.function}" if self.function else str(self.path)


class FilledCall(NamedTuple):
    """Arguments in a reference.

    Attributes:
        partial: They are filled in and the rest comes later, as by ``functools.partial``; else the function is called
            with them once, and returns the function.
    """

    partial: bool
    positional: tuple[Any, ...]
    named: Mapping[str, Any]


def parse_target(text: str, *, scripts: bool = False) -> ParsedTarget:
    """Parse a target and check, without an import, that its file exists and defines the function.

    Raises:
        UsageError: Not ``spec.yaml``, ``file.py:function`` or ``package.module:function``, or no such file, module or
            function.
    """
    if text == STDIN:
        return ParsedTarget("spec", Path(text))
    if text.endswith(SPEC_SUFFIXES):
        return ParsedTarget("spec", _existing_file(text))
    if text.endswith(".py") and scripts:
        path = _existing_file(text)
        parse_file(path)
        return ParsedTarget("script", path)
    name, _, function = text.rpartition(":")
    module = name if is_module_name(name) and not name.endswith((".py", ".ipynb", *SPEC_SUFFIXES)) else None
    if not function or not (module or name.endswith(".py")):
        raise UsageError(
            f"invalid target {text!r}: expected spec.yaml, file.py:function or package.module:function{_help(text)}"
        )
    path = find_module(module) if module is not None else _existing_file(name)
    if (wrong := missing_name(path, function, name)) is not None:
        said, names = wrong
        raise UsageError(f"{said}{did_you_mean(function, names)}")
    return ParsedTarget("function", path, function, module)


def _help(text: str) -> str:
    if ".ipynb" in text:
        return '; measure a notebook from a cell, with `with pipeprof.watch("out.json"):` around its training'
    if text and Path(text).is_dir():
        return f"; pipeprof init --from {text} writes a spec that reads this folder"
    name, _, function = text.replace("::", ":").rpartition(":" if ":" in text else ".")
    file = f"{name.removesuffix('.py')}.py"
    if not Path(file).is_file():
        return did_you_mean(text, _near(text))
    if function in ("", "py"):
        function = next((one.name for one in functions_in(Path(file))), "function")
    return f" — did you mean {file}:{function}?"


def listed_file(text: str, *, scripts: bool = False) -> Path | None:
    """Return the file of ``file.py:``, ``file.py`` or ``package.module:``, to list; `None` for other targets."""
    file = text.removesuffix(":")
    if file.endswith(".py"):
        return None if scripts and file == text else _existing_file(file)
    return find_module(file) if file != text and is_module_name(file) else None


def _near(text: str) -> list[str]:
    folder = Path(text).parent
    try:
        return sorted(str(path) for path in folder.iterdir() if path.suffix in (*SPEC_SUFFIXES, ".py"))
    except OSError:
        return []


def _existing_file(text: str) -> Path:
    path = Path(text)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{text}: no such file{did_you_mean(text, _near(text))}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{text}: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):
        raise UsageError(f"{text} is not a file")
    return path


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
