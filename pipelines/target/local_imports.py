"""The user's own files that a Python file imports, found in the texts: nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.target.modules import name_in_package
from pipeprof.pipelines.target.user_files import read_source

_DYNAMIC = frozenset({"importlib", "imp", "runpy", "__import__", "exec", "eval", "compile", "pkgutil", "zipimport"})
"""Names through which a file may run code that no import names."""
_PATHS = ("sys.path", "sys.modules", "sys.meta_path")
_MOST_FILES = 2000


@dataclass(frozen=True)
class LocalImports:
    """Files that one file may run.

    Attributes:
        root: The folder that names of modules are looked up in.
        files: The file itself and all that it imports from that folder, by path.
        unknown: Why there may be more, in words; None where these are all.
    """

    root: Path
    files: tuple[Path, ...]
    unknown: str | None = None


def local_imports(path: Path) -> LocalImports:
    """Follow the imports of a file, as far as they lead to files below the folder that Python would import it from."""
    _, root = name_in_package(path)
    beside = path.resolve().parent
    # A file of a package may be run as a script as well: then its own folder comes first.
    roots = (beside, root) if beside != root else (root,)
    found: dict[Path, None] = {}
    todo, unknown = [path.resolve()], None
    while todo and unknown is None:
        file = todo.pop()
        if file in found:
            continue
        found[file] = None
        if len(found) > _MOST_FILES:
            unknown = f"it imports more than {_MOST_FILES:,} files"
            break
        try:
            tree = ast.parse(read_source(file))
        except (OSError, SyntaxError, ValueError, RecursionError):
            unknown = f"{file.name} cannot be read as Python"
            break
        unknown = _dynamic(tree, file)
        todo += [each for name in _imported(tree, file) for each in _files_of(name, roots)]
    return LocalImports(root, tuple(sorted(found)), unknown)


def _dynamic(tree: ast.Module, file: Path) -> str | None:
    """Why a file may run code that no import names; None where it does not look so."""
    for node in ast.walk(tree):
        named: list[str] = []
        if isinstance(node, ast.Import):
            named = [one.name.partition(".")[0] for one in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            named = [(node.module or "").partition(".")[0]]
            named += [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = [node.func.id]
        elif isinstance(node, ast.Attribute):
            named = [ast.unparse(node)] if isinstance(node.value, ast.Name) else []
        first = next((name for name in named if name in _DYNAMIC or name in _PATHS), None)
        if first is not None:
            return f"{file.name}:{getattr(node, 'lineno', 1)} uses {first}"
    return None


def _imported(tree: ast.Module, file: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, and those of their packages."""
    package, _ = name_in_package(file)
    parts = package.split(".") if package else []
    if file.name != "__init__.py":
        parts = parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield from _with_packages(one.name)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
            module = base if node.level else node.module or ""
            yield from _with_packages(module)
            yield from (f"{module}.{one.name}" if module else one.name for one in node.names)


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: number + 1]) for number in range(len(parts)) if parts[0])


def _files_of(name: str, roots: tuple[Path, ...]) -> Iterator[Path]:
    for root in roots:
        place = root.joinpath(*name.split("."))
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                yield file.resolve()
