"""Folders in which Python looks for modules.

In pipeprof's own processes that is never the current folder: a ``yaml.py`` there must not take the place of a library.
Before a file of the user's runs, the path becomes what ``python file.py`` gives: the file's folder comes first.
"""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

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
