"""Where Python finds modules: folders, and the file of a dotted module, without running it or its packages."""

from __future__ import annotations

import os
import site
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
    folders = [str(Path.cwd())]
    found: ModuleSpec | None = None
    parts = name.split(".")
    for number, part in enumerate(parts):
        found = PathFinder.find_spec(part, folders)
        if found is None or (found.origin is None and not found.submodule_search_locations):
            found = _ask_finders(".".join(parts[: number + 1]), folders if number else None)
        if found is None:
            near = [entry.stem for folder in folders if Path(folder).is_dir() for entry in Path(folder).iterdir()]
            raise _no_module(name, did_you_mean(part, sorted(near)))
        folders = list(found.submodule_search_locations or ())
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        raise _no_module(name)
    return Path(found.origin)


def _no_module(name: str, near: str = "") -> UsageError:
    return UsageError(f"no module {name} with a Python file in the current directory or the environment{near}")


def _ask_finders(name: str, path: list[str] | None) -> ModuleSpec | None:
    """Search with the environment's finders, such as those of editable installs."""
    for finder in sys.meta_path:
        search = getattr(finder, "find_spec", None)
        found = search(name, path) if search is not None else None
        if found is not None:
            return found  # type: ignore[no-any-return]  # a finder's `find_spec` gives a spec
    return None


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


_left_out: list[tuple[int, str]] = []


def child_command(module: str, *arguments: str, buffered: bool = False) -> list[str]:
    """The command line of a process that runs ``main()`` of a module of pipeprof.

    Args:
        buffered: Whether its output is as Python buffers it.
    """
    # `-m` would put the current folder on the path before anything could be done about it.
    code = (
        "import sys; sys.path[:1] = sys.path[:1] if sys.path[:1] != [''] else []; "
        f"from {__name__} import leave_out_current_folder; leave_out_current_folder(); "
        f"from {module} import main; sys.exit(main())"
    )
    return [sys.executable, *(() if buffered else ("-u",)), "-c", code, *arguments]


def leave_out_current_folder() -> None:
    """Take the current folder off the path, however it came there; `put_first` brings back what was not Python's doing.

    An empty part of PYTHONPATH stands for the current folder, and ``python -m`` puts it first.
    """
    try:
        here = Path.cwd().resolve()
    except OSError:
        here = None
    kept: list[str] = []
    for entry in sys.path:
        if entry and (here is None or _resolved(entry) != here or _is_pythons_own(here)):
            kept.append(entry)
        elif entry:
            _left_out.append((len(kept) + len(_left_out), entry))
    sys.path[:] = kept


def put_first(folder: Path | None) -> None:
    """Give the user's files the path that ``python file.py`` gives.

    Args:
        folder: The file's, which comes first; with PYTHONSAFEPATH it is not on the path, as with Python itself. None
            for a module that is installed.
    """
    for index, entry in _left_out:
        sys.path.insert(index, entry)
    _left_out.clear()
    if folder is not None and not getattr(sys.flags, "safe_path", False) and sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))


def _resolved(entry: str | Path) -> Path | None:
    try:
        return Path(entry).resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def _is_pythons_own(folder: Path) -> bool:
    """Whether libraries lie in the folder, so that nothing would be found without it."""
    own: list[str | Path] = [Path(os.__file__).parent, *site.getsitepackages(), site.getusersitepackages()]
    return folder in [_resolved(entry) for entry in own]
