"""Lookup of a dotted module's file, without running the module or its packages."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.suggest import did_you_mean


def is_module_name(text: str) -> bool:
    """Return whether `text` is a dotted name that ``import`` would take.

    Example:
        >>> is_module_name("flowers.input"), is_module_name("flowers/input"), is_module_name("")
        (True, False, False)
    """
    return all(part.isidentifier() for part in text.split("."))


def find_module(name: str) -> Path:
    """Find the file of the module `name`, in the current directory or the environment.

    Packages are searched, not imported: no code of the user's runs.
    """
    parts = name.split(".")
    path: list[str] | None = None
    found: ModuleSpec | None = None
    for number, part in enumerate(parts):
        so_far = ".".join(parts[: number + 1])
        found = PathFinder.find_spec(part, [str(Path.cwd())] if path is None else path)
        if found is None or (found.origin is None and not found.submodule_search_locations):
            found = _ask_finders(so_far, path)
        if found is None:
            msg = f"no module {so_far} in the current directory or the environment"
            raise UsageError(msg + did_you_mean(part, _search_paths(path)))
        path = list(found.submodule_search_locations or ())
        if number + 1 < len(parts) and not path:
            raise UsageError(f"{name}: {so_far} is a module, not a package")
    origin = found.origin if found is not None else None
    if origin is None or not origin.endswith(".py"):
        what = "a folder without an __init__.py" if path else "not a Python file"
        raise UsageError(f"{name} is {what} ({origin or 'no source'}): expected a module with a Python file")
    return Path(origin)


def name_in_package(path: Path) -> tuple[str, Path]:
    """Return a file's dotted name within its packages, and the folder of the outermost one."""
    parts, folder = [path.stem] if path.stem != "__init__" else [], path.resolve().parent
    while (folder / "__init__.py").is_file():
        parts, folder = [folder.name, *parts], folder.parent
    return ".".join(parts), folder


def top_folder(module: str, file: Path) -> Path:
    """Return the folder of the outermost package of a module; the module's own file if it is in none."""
    depth = module.count(".") + (file.name == "__init__.py")
    return file.resolve().parents[depth - 1] if depth else file.resolve()


def _ask_finders(name: str, path: list[str] | None) -> ModuleSpec | None:
    """Search with the environment's finders, such as those of editable installs."""
    for finder in sys.meta_path:
        search = getattr(finder, "find_spec", None)
        found = search(name, path) if search is not None else None
        if found is not None:
            return found  # type: ignore[no-any-return]  # a finder's `find_spec` gives a spec
    return None


def _search_paths(path: list[str] | None) -> list[str]:
    found: list[str] = []
    for place in path if path is not None else [str(Path.cwd())]:
        folder = Path(place)
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        found += [entry.stem for entry in entries if entry.suffix == ".py" or entry.is_dir()]
    return found
