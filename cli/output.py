"""Outputs of a command: which formats and files its report goes to, whether these may be written, and their writing."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeprof.cli.formats import extensions_of, names_of
from pipeprof.cli.options import ReportOptions
from pipeprof.cli.refused import format_gone
from pipeprof.cli.render.style import Style, style_of
from pipeprof.cli.streams import OutputError, say, why, write_stream
from pipeprof.cli.values import choice
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.store import ProfileWriter, holds_something, is_own_file, reason, write_atomically
from pipeprof.profiles.wording import listed

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Model


class _Texts(Protocol):
    """A document as text, in a format and a style, for a file or for stdout."""

    def __call__(self, kind: str, style: Style, *, to_file: bool) -> str: ...


_TAKEN = "the file exists; use --force to overwrite it, or another name"
_SEALED = frozenset({"md", "html", "junit"})
"""Formats whose files end in a comment with a hash of what is before it: the next report may replace such a file."""
_KEPT = frozenset({"json", "yaml", "patch"})
"""Formats of files that others work with: one of a complete measurement is not replaced by one of a partial one."""


@dataclass(frozen=True)
class Outputs:
    """Outputs of a report, in addition to the saved profile.

    Attributes:
        stdout: Format for stdout, or nothing.
        redact: Whether to take out what tells about a machine or a person; None for where the format does so.
        verbose: Whether a text is to have all numbers.
    """

    stdout: str | None = "text"
    files: list[tuple[Path, str]] = field(default_factory=list)
    redact: bool | None = None
    verbose: bool = False

    @property
    def profile(self) -> Path | None:
        """The first JSON file: the profile is saved there in place of the default folder."""
        return next((path for path, kind in self.files if kind == "json"), None)


def plan_outputs(given: ReportOptions, command: str) -> Outputs:
    """Check all outputs before anything is measured.

    Raises:
        UsageError: A format is unknown, a folder does not exist, or a file exists, but not as pipeprof wrote it.
    """
    files = [(file_path("--out", text), format_of(text, command)) for text in given.out or [] if text != "-"]
    for path, _ in files:
        check_file("--out", path, force=given.force, own=lambda path: is_own_file(path) or _is_as_written(path))
    return Outputs(_format_of_stdout(given, command), files, given.redact, getattr(given, "verbose", False))


def _format_of_stdout(given: ReportOptions, command: str) -> str:
    if given.format is None:
        return "json" if given.json else "text"
    if gone := format_gone(given.format):
        raise UsageError(f"--format: {gone}")
    return choice("--format", given.format, names_of(command))


def format_of(text: str, command: str) -> str:
    """Find the format for a file by its extension, or raise a UsageError."""
    known = extensions_of(command)
    name = Path(text).name.lower()
    extension = max((one for one in known if name.endswith(one) and name != one), key=len, default="")
    if not extension:
        extension = Path(text).suffix.lower()
        got = f"unknown output format {extension}" if extension[1:] else "the file has no extension"
        raise UsageError(f"--out {text}: {got}; use {listed([*known], 'or')}, or - for stdout")
    return known[extension]


def file_path(flag: str, text: str) -> Path:
    """Return the path of a file that an option names; that of a folder, whose slash `Path` drops, is a UsageError."""
    if text and os.path.basename(text) in ("", os.curdir):  # noqa: PTH119
        raise UsageError(f"{flag} {text}: this is the name of a folder; name a file")
    return Path(text)


def check_file(
    flag: str, path: Path, *, force: bool, own: Callable[[Path], bool] | None = None, taken: str = _TAKEN
) -> None:
    """Check that a file can be written, and may be, or raise a UsageError.

    Args:
        force: Any file may be overwritten.
        own: Whether an existing file may be overwritten without it; none may if not given.
        taken: Message for a file that must stay.
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


def _sealed(report: bytes) -> bytes:
    return b"%s<!-- pipeprof %s -->\n" % (report, hashlib.sha256(report).hexdigest().encode())


def _is_as_written(path: Path) -> bool:
    """Whether a file is a report of pipeprof's that nobody has changed since; or SARIF with no run of another tool."""
    try:
        data = path.read_bytes()
        report, mark, _ = data.rpartition(b"<!-- pipeprof ")
        if mark or path.suffix != ".sarif":
            return bool(mark) and _sealed(report) == data
        return [run["tool"]["driver"]["name"] for run in json.loads(data)["runs"]] == ["pipeprof"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def shown_path(path: Path | None) -> str | None:
    """Shorten a path for a report: relative to the current folder if it is inside, else unchanged."""
    if path is None:
        return None
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError):
        return str(path)


def settle(outputs: Outputs, writer: ProfileWriter, document: Model, *, complete: bool) -> Outputs:
    """Put a document in place of what is in its file; what is not complete replaces nothing, and a note says so.

    Returns:
        The outputs without the files that stay as they were.
    """
    if complete:
        writer.deliver(document)
        return outputs
    others = [path for path, kind in outputs.files if kind in _KEPT and path != writer.path and holds_something(path)]
    kept = list(dict.fromkeys([*([writer.kept] if writer.kept is not None else []), *others]))
    saved = f"; what was measured is in {writer.path}" if writer.path is not None else ""
    for path in kept:
        say(f"pipeprof: note: {path} stays as it was: the measurement is not complete{saved}")
    return replace(outputs, files=[(path, kind) for path, kind in outputs.files if path not in kept])


def write_texts(text: _Texts, outputs: Outputs, saved: Path | None) -> None:
    """Print a document and write the files, and name them on stderr; the document itself is saved already.

    Raises:
        OutputError: Stdout or a file could not be written; everything else was.
    """
    failed = []
    try:
        if outputs.stdout is not None:
            write_stream(sys.stdout, text(outputs.stdout, style_of(sys.stdout), to_file=False))
    except OSError as error:
        failed.append(f"stdout ({why(error)})")
    done = []
    for path, kind in outputs.files:
        if kind == "json" and saved is not None and path == saved:
            continue
        try:
            report = text(kind, Style(), to_file=True).encode()
            write_atomically(path, _sealed(report) if kind in _SEALED else report, sync=True)
            done.append(str(path))
        except OSError as error:
            failed.append(f"{path} ({reason(error)})")
    if done:
        say(f"pipeprof: wrote {listed(done)}")
    if failed:
        raise OutputError(f"the report could not be written to {', '.join(failed)}")
