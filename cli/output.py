"""Outputs of a command: the formats and files of a report."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from pipeprof.cli.formats.registry import Output, extensions_of, is_redacted, lack_of, render
from pipeprof.cli.options import choice, report_format
from pipeprof.cli.streams import OutputError, say, why, without_commands, write_stream
from pipeprof.pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipeprof.cli.report.report import Selection
    from pipeprof.cli.render.remarks import Remark
    from pipeprof.cli.render.style import Style
    from pipeprof.profiles.document.base import Model
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.store import ProfileWriter
    from pipeprof.profiles.gaps.document import GapsReport
    from pipeprof.profiles.judge.verdicts.result import Result

_Document = TypeVar("_Document", bound="Model")


class _Texts(Protocol):
    """A document as text, in a format and a style, for a file or for stdout."""

    def __call__(self, kind: str, style: Style, *, to_file: bool) -> str: ...


_OWN_REPORT = re.compile(
    rb"^Report by +pipeprof \d|all numbers(?: and \d+ notes?)?: pipeprof show(?: |$)|^<!-- pipeprof -->$"
    rb"|<meta name=\"generator\" content=\"pipeprof |<testsuite name=\"pipeprof (?:gate|gaps) "
    rb"|^ +\"name\": \"pipeprof\",$",
    re.MULTILINE,
)
"""In every report: the end of those for reading, the beginning of those for programs."""
_KEPT = frozenset({"json", "yaml", "patch"})
"""Formats of files that others work with: one of a complete measurement is not replaced by one of a partial one."""
HEADLINE, MEASURED = 1, 2
"""Parts of a report that are known before changes are tried."""
_TAIL_BYTES = 8192
_TAKEN = "the file exists; use --force to overwrite it, or another name"
_FOREIGN = "the file exists and is not a report of pipeprof; use --force to overwrite it"


@dataclass(frozen=True)
class Outputs:
    """Outputs of a report, in addition to the saved profile.

    Attributes:
        stdout: Format for stdout, or nothing.
        files: Files with their formats, in the order given.
        redact: Whether to take out what tells about a machine or a person; None for where the format does so.
    """

    stdout: str | None = "text"
    files: list[tuple[Path, str]] = field(default_factory=list)
    redact: bool | None = None

    @property
    def profile(self) -> Path | None:
        """The first JSON file: the profile is saved there in place of the default folder."""
        return next((path for path, kind in self.files if kind == "json"), None)


def plan_outputs(
    out: Sequence[str] | None,
    form: str | None,
    *,
    json: bool,
    force: bool,
    command: str = "run",
    redact: bool | None = None,
) -> Outputs:
    """Check all outputs before anything is measured.

    Args:
        force: Files that pipeprof did not write may be overwritten.
        redact: ``--redact`` or ``--no-redact`` was given.

    Raises:
        UsageError: A format is unknown, a folder does not exist, or a file was not written by pipeprof.
    """
    stdout = report_format(form, json=json, command=command)
    files = [(file_path("--out", text), format_of(text, command)) for text in out or [] if text != "-"]
    for path, _ in files:
        check_file("--out", path, force=force, own=is_own_report, taken=_FOREIGN)
    return Outputs(stdout, files, redact)


def format_of(text: str, command: str = "run") -> str:
    """Find the format for a file by its extension.

    Raises:
        UsageError: No format has this extension.

    Example:
        >>> format_of("a/report.txt"), format_of("run.json")
        ('text', 'json')
    """
    known = extensions_of(command)
    name = Path(text).name.lower()
    extension = max(
        (known_one for known_one in known if name.endswith(known_one) and name != known_one), key=len, default=""
    )
    if not extension:
        extension = Path(text).suffix.lower()
        got = f"unknown output format {extension}" if extension[1:] else "the file has no extension"
        *others, last = known
        raise UsageError(f"--out {text}: {got}; use {', '.join(others)} or {last}, or - for stdout")
    return known[extension]


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
    """Check that a file can be written, and may be, before anything is read or measured.

    Args:
        force: Any file may be overwritten.
        own: Whether an existing file may be overwritten without it; none may if not given.
        taken: Message for a file that must stay.

    Raises:
        UsageError: The file cannot or must not be written.
    """
    from pipeprof.profiles.document.store import reason

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
    from pipeprof.profiles.document.store import is_own_file

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


def as_text(
    profile: Profile,
    kind: str,
    style: Style,
    saved: Path | None,
    selection: Selection | None = None,
    *,
    redact: bool | None = None,
    to_file: bool = False,
) -> str:
    """Render the profile, or the selected part of its report, in one of the formats."""
    from pipeprof.cli.report.report import build_report

    hidden = is_redacted(kind, redact)
    shown, path = prepare(profile, saved, hidden=hidden)
    output = Output(
        shown,
        lambda: build_report(shown, path, selection, _shown_again(saved, path)),
        style,
        page=lambda: _page(shown, path),
        remarks=lambda: remarks_here(shown),
    )
    return render(kind, output, to_file=to_file)


class ReportOnStdout:
    """A run's report in text, which is written to stdout as it becomes known; other formats are written at the end.

    Attributes:
        parts: Parts of it that were written.
    """

    def __init__(self, outputs: Outputs, selection: Selection, color: str) -> None:
        self._outputs = outputs
        self._selection = selection
        self._color = color
        self._lost: OSError | None = None
        self.parts = 0

    def tell(self, profile: Profile, saved: Path | None, parts: int) -> None:
        """Write what follows up to a part; a broken stdout is an error at the end, when the profile is saved."""
        from pipeprof.cli.render.style import style_of

        if self._outputs.stdout != "text":
            return
        try:
            write_stream(sys.stdout, self.rest(profile, style_of(sys.stdout, self._color), saved, parts))
        except OSError as error:
            self._lost = error
        self.parts = parts

    def rest(self, profile: Profile, style: Style, saved: Path | None, parts: int | None = None) -> str:
        """What follows.

        Raises:
            OSError: What came before could not be written.
        """
        from pipeprof.cli.report.report import build_parts
        from pipeprof.cli.render.terminal import paint

        if self._lost is not None:
            raise self._lost
        hidden = is_redacted("text", self._outputs.redact)
        shown, path = prepare(profile, saved, hidden=hidden)
        built = build_parts(shown, path, self._selection, _shown_again(saved, path))
        blocks = [block for part in built[self.parts : parts] for block in part]
        return without_commands(paint(blocks, style, goes_on=any(built[: self.parts])))


def _shown_again(saved: Path | None, path: str | None) -> str:
    """The command that shows a profile again: it names the file unless that is the latest one of its folder.

    Args:
        path: Its file as it is to be shown.
    """
    import shlex

    from pipeprof.cli.report.report import SHOW
    from pipeprof.profiles.document.store import latest_profile

    latest = latest_profile() if saved is not None else None
    if saved is None or path is None or (latest is not None and same_file(saved, latest)):
        return SHOW
    return f"{SHOW} {shlex.quote(path)}"


def _page(shown: Profile, saved: str | None) -> str:
    """The report as HTML."""
    from pipeprof.cli.html.page import render_page
    from pipeprof.cli.html.run import run_page

    return render_page(run_page(shown, saved))


def prepare(document: _Document, saved: Path | None, *, hidden: bool) -> tuple[_Document, str | None]:
    """A document and the path of its file as they are to be shown.

    Args:
        saved: Its file, if there is one.
        hidden: Without what tells about this machine and its user.
    """
    from pipeprof.cli.private import hide_here, redact_here

    path = shown_path(saved)
    if not hidden:
        return document, path
    return redact_here(document), hide_here(path) if path is not None else None


def remarks_here(document: Profile | Result | GapsReport) -> list[Remark]:
    """A document as remarks on lines of files of the repository that the current folder is in."""
    from pipeprof.cli.pages.remarks import Checkout, remarks_on
    from pipeprof.cli.private import place_in_repository

    return remarks_on(document, Checkout(*place_in_repository()))


def select(
    outputs: Outputs, *, verbose: bool = False, sections: Sequence[str] | None = None, finding: int | None = None
) -> Selection:
    """Read the options that select a part of the report.

    Args:
        outputs: Outputs of the report; only text has parts.

    Raises:
        UsageError: A section is unknown, or a part of JSON is selected.
    """
    from pipeprof.cli.report.report import SECTIONS, Selection

    names = [
        name.strip() for text in sections or () for name in text.split(",") if name.strip() or not text.strip(" ,")
    ]
    flag = "--finding" if finding is not None else "--section" if sections else None
    if flag and outputs.stdout != "text":
        raise UsageError(f"{flag} selects a part of the text report, but {outputs.stdout} is the whole profile")
    if finding is not None and sections:
        raise UsageError("--finding and --section contradict each other: give one of them")
    return Selection(verbose, tuple(choice("--section", name, tuple(SECTIONS)) for name in names), finding)


def settle(outputs: Outputs, writer: ProfileWriter, document: Model, *, complete: bool) -> Outputs:
    """Put a document in place of what is in its file; what is not complete replaces nothing, and a note says so.

    Args:
        document: The whole one, as it is at the end.

    Returns:
        The outputs without the files that stay as they were.
    """
    from pipeprof.profiles.document.store import holds_something

    _note_size(writer)
    if complete:
        writer.deliver(document)
        return outputs
    others = [path for path, kind in outputs.files if kind in _KEPT and path != writer.path and holds_something(path)]
    kept = list(dict.fromkeys([*([writer.kept] if writer.kept is not None else []), *others]))
    saved = f"; what was measured is in {writer.path}" if writer.path is not None else ""
    for path in kept:
        say(f"pipeprof: note: {path} stays as it was: the measurement is not complete{saved}")
    return replace(outputs, files=[(path, kind) for path, kind in outputs.files if path not in kept])


def _note_size(writer: ProfileWriter) -> None:
    from pipeprof.profiles.document.kept import describe_large

    note = describe_large(writer.path.parent) if writer.path is not None else None
    if note is not None:
        say(f"pipeprof: note: {note}")


def write_reports(
    profile: Profile,
    outputs: Outputs,
    color: str,
    saved: Path | None,
    selection: Selection | None = None,
    *,
    begun: ReportOnStdout | None = None,
) -> None:
    """Print the report and write the files; the profile itself is saved already.

    A file without any content is not written; a note says so.

    Args:
        begun: The report, a part of it on stdout already.

    Raises:
        OutputError: Stdout or a file could not be written; everything else was.
    """

    def text(kind: str, style: Style, *, to_file: bool) -> str:
        if begun is not None and kind == "text" and not to_file:
            return begun.rest(profile, style, saved)
        return as_text(profile, kind, style, saved, selection, redact=outputs.redact, to_file=to_file)

    lacking = {path: lack for path, kind in outputs.files if (lack := lack_of(kind, profile)) is not None}
    for path, lack in lacking.items():
        older = "; the file there is an older one" if path.exists() else ""
        say(f"pipeprof: note: {path} is not written: {lack}{older}")
    files = [(path, kind) for path, kind in outputs.files if path not in lacking]
    write_texts(text, replace(outputs, files=files), color, saved)


def write_texts(text: _Texts, outputs: Outputs, color: str, saved: Path | None) -> None:
    """Print a document and write the files, and name them on stderr; the document itself is saved already.

    Args:
        saved: File of the document.

    Raises:
        OutputError: Stdout or a file could not be written; everything else was.
    """
    from pipeprof.cli.render.style import Style, style_of
    from pipeprof.profiles.document.store import reason, write_atomically
    from pipeprof.profiles.wording import listed

    failed = []
    try:
        if outputs.stdout is not None:
            write_stream(sys.stdout, text(outputs.stdout, style_of(sys.stdout, color), to_file=False))
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
