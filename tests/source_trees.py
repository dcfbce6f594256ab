"""The product's sources and their trees, read and parsed once for all tests of a process; and scripts as modules."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
FOLDERS = ("api", "cli", "pipelines", "profiles")


@cache
def sources() -> dict[str, str]:
    """The text of each module by its path, relative to the repository."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


@cache
def parsed(source: str) -> ast.Module:
    """The tree of a module's text."""
    return ast.parse(source)


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """All nodes of a module's text, as `ast.walk` gives them."""
    return tuple(ast.walk(parsed(source)))


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements directly in a node, also those in its handlers and cases; what stands in them is not looked at."""
    for name in ("body", "orelse", "handlers", "finalbody", "cases"):
        inner = getattr(tree, name, None)
        yield from inner if isinstance(inner, list) else ()


def script(path: str) -> ModuleType:
    """A file of the repository that is no part of the product, as a module."""
    spec = importlib.util.spec_from_file_location(f"script_{Path(path).stem}", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
