"""Reports on documents: in each format, without what must not be seen, on stdout as they become known."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pipeprof.cli.formats import is_redacted
from pipeprof.cli.output import Outputs, shown_path, write_texts
from pipeprof.cli.private import hide_here, place_in_repository, redact_here
from pipeprof.cli.render.formats import Output, lack_of, render
from pipeprof.cli.render.style import Style, style_of
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Block
from pipeprof.cli.report.comparison import build_result
from pipeprof.cli.report.gaps import build_gaps
from pipeprof.cli.report.remarks import Checkout, Remark, remarks_on
from pipeprof.cli.report.report import SHOW, build_page, build_parts, build_report
from pipeprof.cli.streams import say, without_commands, write_stream
from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import FOLDER
from pipeprof.profiles.gaps.document import GapsReport
from pipeprof.profiles.judge.result import Result

_Document = TypeVar("_Document", bound=Model)
HEADLINE, MEASURED = 1, 2
"""Parts of a report that are known before changes are tried."""


def as_text(
    profile: Profile, kind: str, style: Style, saved: Path | None, outputs: Outputs, *, to_file: bool = False
) -> str:
    """Render the report on a profile in one of the formats."""
    shown, path = prepare(profile, saved, hidden=is_redacted(kind, outputs.redact))
    output = Output(
        shown,
        lambda: build_report(shown, path, full=outputs.verbose, again=_shown_again(profile, path)),
        style,
        page=lambda: page_of(build_page(shown, path), shown.target.text),
        remarks=lambda: remarks_here(shown),
    )
    return render(kind, output, to_file=to_file)


def rendered(profile: Profile, kind: str, saved: Path | None) -> str:
    """The report as `pipeprof.profile` and a notebook show it."""
    return as_text(profile, kind, Style(), saved, Outputs())


class ReportOnStdout:
    """A run's report in text, written to stdout as it becomes known; other formats are written at the end."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._lost: OSError | None = None
        self.parts = 0

    def tell(self, profile: Profile, saved: Path | None, parts: int) -> None:
        """Write what follows up to a part; a broken stdout is an error at the end, when the profile is saved."""
        if self._outputs.stdout != "text":
            return
        try:
            write_stream(sys.stdout, self.rest(profile, style_of(sys.stdout), saved, parts))
        except OSError as error:
            self._lost = error
        self.parts = parts

    def rest(self, profile: Profile, style: Style, saved: Path | None, parts: int | None = None) -> str:
        """What follows; raises the OSError by which what came before could not be written."""
        if self._lost is not None:
            raise self._lost
        shown, path = prepare(profile, saved, hidden=is_redacted("text", self._outputs.redact))
        built = build_parts(shown, path, full=self._outputs.verbose, again=_shown_again(profile, path))
        earlier = [block for part in built[: self.parts] for block in part]
        new = [block for part in built[self.parts : parts] for block in part]
        # How far blocks stand apart depends on those before them.
        return without_commands(paint([*earlier, *new], style)[len(paint(earlier, style)) :])


def _shown_again(profile: Profile, path: str | None) -> str:
    """The command that shows a profile again: it names the file where the user did, or where it would not be found."""
    is_found = path is None or (profile.read_from is None and Path(path).parent == Path(FOLDER))
    return SHOW if is_found else f"{SHOW} {shlex.quote(str(path))}"


def prepare(document: _Document, saved: Path | None, *, hidden: bool) -> tuple[_Document, str | None]:
    """A document and the path of its file as they are to be shown, `hidden` without what tells about this machine."""
    path = shown_path(saved)
    if not hidden:
        return document, path
    return redact_here(document), hide_here(path) if path is not None else None


def remarks_here(document: Profile | Result | GapsReport) -> Sequence[Remark]:
    """A document as remarks on lines of files of the repository that the current folder is in."""
    return remarks_on(document, Checkout(*place_in_repository()))


def write_reports(
    profile: Profile, outputs: Outputs, saved: Path | None, *, begun: ReportOnStdout | None = None
) -> None:
    """Print the report, of which `begun` is a part that is printed, and write the files but those without any content.

    Raises:
        OutputError: Stdout or a file could not be written; everything else was.
    """

    def text(kind: str, style: Style, *, to_file: bool) -> str:
        if begun is not None and kind == "text" and not to_file:
            return begun.rest(profile, style, saved)
        return as_text(profile, kind, style, saved, outputs, to_file=to_file)

    lacking = {path: lack for path, kind in outputs.files if (lack := lack_of(kind, profile)) is not None}
    for path, lack in lacking.items():
        older = "; the file there is an older one" if path.exists() else ""
        say(f"pipeprof: note: {path} is not written: {lack}{older}")
    files = [(path, kind) for path, kind in outputs.files if path not in lacking]
    write_texts(text, replace(outputs, files=files), saved)


def write_result(result: Result | GapsReport, saved: Path | None, outputs: Outputs) -> None:
    """Print the report of a result, or of traces, and write the files; a result itself is saved already.

    Raises:
        OutputError: Stdout or a file could not be written; everything else was.
    """

    def text(kind: str, style: Style, *, to_file: bool) -> str:
        shown, path = prepare(result, saved, hidden=is_redacted(kind, outputs.redact))
        title = "Idle time of devices" if isinstance(shown, GapsReport) else shown.b.text

        def build(full: bool) -> list[Block]:
            if isinstance(shown, GapsReport):
                return list(build_gaps(shown, full=full))
            return list(build_result(shown, path, full=full))

        one = Output(
            shown,
            lambda: build(outputs.verbose),
            style,
            page=lambda: page_of(build(True), title),
            remarks=lambda: remarks_here(shown),
        )
        return render(kind, one, to_file=to_file)

    write_texts(text, outputs, saved)


def page_of(blocks: Sequence[Block], title: str) -> str:
    """A report as HTML; what fills in a template is imported for that alone."""
    from pipeprof.cli.render.html import render_page

    return render_page(blocks, title)
