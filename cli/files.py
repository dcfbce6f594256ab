"""Files that a command is to write: whether that can and may be done, before anything is read or measured."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.store import is_own_file, reason

_OWN_REPORT = re.compile(
    rb"^Report by +pipeprof \d|all numbers(?: and \d+ notes?)?: pipeprof show(?: |$)|^<!-- pipeprof -->$"
    rb"|<meta name=\"generator\" content=\"pipeprof |<testsuite name=\"pipeprof (?:gate|gaps) "
    rb"|^ +\"name\": \"pipeprof\",$",
    re.MULTILINE,
)
"""In every report: the end of those for reading, the beginning of those for programs."""
_TAIL_BYTES = 8192
_TAKEN = "the file exists; use --force to overwrite it, or another name"


def file_path(flag: str, text: str) -> Path:
    """Return the path of a file that an option names.

    Raises:
        UsageError: The path can only be a folder: `Path` would drop a slash at the end.

    Example:
        >>> file_path("--out", "a/report.txt").name
        'report.txt'
    """
    if text and os.path.basename(text) in ("", os.curdir):  # noqa: PTH119
        raise UsageError(f"{flag} {text}: this is the name of a folder; name a file")
    return Path(text)


def check_file(
    flag: str, path: Path, *, force: bool, own: Callable[[Path], bool] | None = None, taken: str = _TAKEN
) -> None:
    """Check that a file can be written, and may be.

    Args:
        force: Any file may be overwritten.
        own: Whether an existing file may be overwritten without it; none may if not given.
        taken: Message for a file that must stay.

    Raises:
        UsageError: The file cannot or must not be written.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except OSError as error:
        raise UsageError(f"{flag} {path}: no file can be written there ({reason(error)}); use another name") from None
    if mode is None and not path.parent.is_dir():
        msg = f"{flag} {path}: the folder {path.parent} does not exist; create it first"
    elif mode is not None and stat.S_ISDIR(mode):
        msg = f"{flag} {path}: this is a folder; name a file in it"
    elif mode is not None and not stat.S_ISREG(mode):
        # Not with --force either: what is written would take the place of /dev/null for everybody.
        stdout = ", or use - for stdout" if flag == "--out" else ""
        msg = f"{flag} {path}: this is a device or a pipe, not a file; name a file{stdout}"
    elif (mode is not None or path.is_symlink()) and not force and not (own is not None and own(path)):
        msg = f"{flag} {path}: {taken}"
    else:
        return
    raise UsageError(msg)


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same existing file."""
    try:
        return one.is_file() and one.samefile(other)
    except OSError:
        return False


def is_own_report(path: Path) -> bool:
    """Whether pipeprof wrote the file, as a document or as a report, so that it may be overwritten."""
    if is_own_file(path):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(_TAIL_BYTES)
            file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
            return any(_OWN_REPORT.search(part) for part in (start, file.read()))
    except OSError:
        return False


def shown_path(path: Path | None) -> str | None:
    """Shorten a path for a report: relative to the current folder if it is inside, else unchanged."""
    if path is None:
        return None
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError):
        return str(path)
