"""Outputs of a command: which formats and files its report goes to, and how they are written."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pipeprof.cli.files import check_file, file_path, is_own_report
from pipeprof.cli.formats import extensions_of, names_of
from pipeprof.cli.gone import format_gone
from pipeprof.cli.options import ReportOptions
from pipeprof.cli.render.style import Style, style_of
from pipeprof.cli.streams import OutputError, say, why, write_stream
from pipeprof.cli.values import choice
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.kept import describe_large
from pipeprof.profiles.document.store import ProfileWriter, holds_something, reason, write_atomically
from pipeprof.profiles.wording import listed


class _Texts(Protocol):
    """A document as text, in a format and a style, for a file or for stdout."""

    def __call__(self, kind: str, style: Style, *, to_file: bool) -> str: ...


_FOREIGN = "the file exists and is not a report of pipeprof; use --force to overwrite it"
_KEPT = frozenset({"json", "yaml", "patch"})
"""Formats of files that others work with: one of a complete measurement is not replaced by one of a partial one."""


@dataclass(frozen=True)
class Outputs:
    """Outputs of a report, in addition to the saved profile.

    Attributes:
        stdout: Format for stdout, or nothing.
        files: Files with their formats, in the order given.
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
        UsageError: A format is unknown, a folder does not exist, or a file was not written by pipeprof.
    """
    files = [(file_path("--out", text), format_of(text, command)) for text in given.out or [] if text != "-"]
    for path, _ in files:
        check_file("--out", path, force=given.force, own=is_own_report, taken=_FOREIGN)
    return Outputs(_format_of_stdout(given, command), files, given.redact, getattr(given, "verbose", False))


def _format_of_stdout(given: ReportOptions, command: str) -> str:
    if given.format is None:
        return "json" if given.json else "text"
    if gone := format_gone(given.format):
        raise UsageError(f"--format: {gone}")
    chosen = choice("--format", given.format, names_of(command))
    if given.json and chosen != "json":
        raise UsageError(f"--json and --format {chosen} contradict each other: give one of them")
    return chosen


def format_of(text: str, command: str) -> str:
    """Find the format for a file by its extension.

    Raises:
        UsageError: No format has this extension.

    Example:
        >>> format_of("a/report.txt", "run"), format_of("run.json", "run")
        ('text', 'json')
    """
    known = extensions_of(command)
    name = Path(text).name.lower()
    extension = max((one for one in known if name.endswith(one) and name != one), key=len, default="")
    if not extension:
        extension = Path(text).suffix.lower()
        got = f"unknown output format {extension}" if extension[1:] else "the file has no extension"
        *others, last = known
        raise UsageError(f"--out {text}: {got}; use {', '.join(others)} or {last}, or - for stdout")
    return known[extension]


def settle(outputs: Outputs, writer: ProfileWriter, document: Model, *, complete: bool) -> Outputs:
    """Put a document in place of what is in its file; what is not complete replaces nothing, and a note says so.

    Args:
        document: The whole one, as it is at the end.

    Returns:
        The outputs without the files that stay as they were.
    """
    large = describe_large(writer.path.parent) if writer.path is not None else None
    if large is not None:
        say(f"pipeprof: note: {large}")
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

    Args:
        saved: File of the document.

    Raises:
        OutputError: Stdout or a file could not be written; everything else was.
    """
    failed = []
    try:
        if outputs.stdout is not None:
            write_stream(sys.stdout, text(outputs.stdout, style_of(sys.stdout, "auto"), to_file=False))
    except OSError as error:
        failed.append(f"stdout ({why(error)})")
    done = []
    for path, kind in outputs.files:
        if kind == "json" and saved is not None and path == saved:
            continue
        try:
            write_atomically(path, text(kind, Style(), to_file=True).encode(), sync=True)
            done.append(str(path))
        except OSError as error:
            failed.append(f"{path} ({reason(error)})")
    if done:
        say(f"pipeprof: wrote {listed(done)}")
    if failed:
        raise OutputError(f"the report could not be written to {', '.join(failed)}")
