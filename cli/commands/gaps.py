"""``pipeprof gaps``: why a device idles, from traces of other profilers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Color, Force, Json, Redact, Text, Texts, format_of, option, out_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.cli.output import Outputs
    from pipeprof.profiles.gaps.document import GapsLimit, GapsReport
    from pipeprof.profiles.harness.progress import RunProgress

EPILOG = epilog(
    "pipeprof gaps logs/plugins/profile/2026_11_27_08_00_00",
    "pipeprof gaps before.pt.trace.json.gz after.pt.trace.json.gz",
    "pipeprof gaps worker0.pt.trace.json.gz --json | jq '.devices[].idle_share'",
    "pipeprof gaps host.xplane.pb --fail-on idle=20% --out gaps.xml",
)


def gaps(
    traces: Annotated[
        list[str],
        typer.Argument(
            metavar="TRACE...",
            help="*.xplane.pb or a TensorBoard log folder, *.pt.trace.json(.gz). Two of them: before and after.",
        ),
    ],
    *,
    fail_on: Annotated[
        Text,
        option("", "NAME=SHARE", "Exit with 3 if a device idles more, e.g. idle=20%; or for one cause, pipeline=5%."),
    ] = None,
    form: Annotated[Text, format_of("gaps")] = None,
    json: Json = False,
    out: Annotated[Texts, out_of("gaps")] = None,
    force: Force = False,
    color: Color = "auto",
    redact: Redact = None,
) -> None:
    """Find out why a device idles, from a trace of TensorFlow, JAX or PyTorch.

    Divides the time in which the device has no work by what the host did until it launched the next work. What a trace
    cannot show is left open, with the reason. Loads no TensorFlow.
    """
    import sys
    from contextlib import closing

    from pipeprof.cli import output
    from pipeprof.cli.options import COLORS, choice
    from pipeprof.cli.render.progress import progress_if_long
    from pipeprof.profiles.document.subject import Tool
    from pipeprof.profiles.gaps.document import GapsReport
    from pipeprof.profiles.gaps.reading import find_traces
    from pipeprof.profiles.gaps.trace import TraceError
    from pipeprof.profiles.host.host import versions

    choice("--color", color, COLORS)
    limit = _limit(fail_on)
    outputs = output.plan_outputs(out, form, json=json, force=force, command="gaps", redact=redact)
    report = GapsReport(
        tool=Tool(version=versions()["pipeprof"] or "unknown"),
        command=["pipeprof", *sys.argv[1:]],
        traces=[],
        devices=[],
        limit=limit,
    )
    found = [(Path(text), *find_traces(Path(text))) for text in traces]
    alone = sum(len(files) for _, files, _ in found) == 1
    with closing(progress_if_long(sys.stderr)) as progress:
        for path, files, notes in found:
            _add(report, path, files, notes, alone=alone, progress=progress)
    if not any(trace.readable for trace in report.traces):
        named = [f"{trace.file}: {trace.sentence.partition(': ')[2]}" for trace in report.traces[:_MOST_UNREAD]]
        raise TraceError(f"none of {len(report.traces):,} files is a trace; {'; '.join(named)}")
    report.exit_code = exit_code_of(report)
    _write(report, outputs, color)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


_MOST_UNREAD = 3
"""Files whose errors are printed where none is a trace."""


def _add(
    report: GapsReport, path: Path, files: Sequence[Path], notes: Sequence[str], *, alone: bool, progress: RunProgress
) -> None:
    """Add what one argument names.

    Args:
        notes: On the rest of a folder.
        alone: There is no other file, so that one which is no trace ends the command.

    Raises:
        TraceError: It is alone, and no trace.
    """
    from pipeprof.cli.output import shown_path
    from pipeprof.profiles.gaps.analyse import analyse, analyse_folder
    from pipeprof.profiles.gaps.document import TraceGaps
    from pipeprof.profiles.gaps.reading import read_trace
    from pipeprof.profiles.gaps.trace import TraceError

    folder = len(report.folders) if len(files) > 1 else None
    members = []
    for file in files:
        name = shown_path(file) or ""
        progress.phase(f"reading {name}", None)
        try:
            found, devices = analyse(read_trace(file), name, len(report.traces))
        except TraceError as error:
            if alone:
                raise
            said = str(error).removeprefix(f"{file}: ")
            found, devices = TraceGaps(file=name, format="", sentence=f"cannot say: {said}", readable=False), []
        found.folder = folder
        members.append((found, devices))
        report.traces.append(found)
        report.devices += devices
    if folder is not None:
        report.folders.append(analyse_folder(shown_path(path) or "", members))
    named = report.folders[folder] if folder is not None else report.traces[-1]
    named.notes[:0] = notes


def _limit(text: str | None) -> GapsLimit | None:
    """Parse the value of ``--fail-on``.

    Raises:
        UsageError: It names nothing that is measured, or no share.
    """
    from pipeprof.cli.options import choice
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.gaps.document import GapsLimit
    from pipeprof.profiles.gaps.names import CAUSES

    if text is None:
        return None
    name, _, value = text.partition("=")
    choice("--fail-on", name, ("idle", *CAUSES))
    try:
        share = float(value.removesuffix("%").strip()) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"--fail-on: got {text!r}, expected a share of the time, e.g. {name}=20%")
    return GapsLimit(name=name, share=share)


def exit_code_of(report: GapsReport) -> int:
    """Return the exit code: 3 above the limit, 6 with a file that is no trace, 4 where the limit cannot be judged.

    Also 6 without any idle share.
    """
    from pipeprof.cli import exit_codes
    from pipeprof.profiles.gaps.wording import judged

    verdicts = {one.verdict for one in judged(report)}
    if report.limit is not None and "above" in verdicts:
        return exit_codes.GATE
    if not all(trace.readable for trace in report.traces):
        return exit_codes.UNUSABLE
    if report.limit is not None and "cannot say" in verdicts:
        return exit_codes.INCONCLUSIVE
    computing = [device for device in report.devices if device.computes]
    said = any(device.idle_share is not None or device.idle_at_most is not None for device in computing)
    return exit_codes.OK if said else exit_codes.UNUSABLE


def _write(report: GapsReport, outputs: Outputs, color: str) -> None:
    from pipeprof.cli import output
    from pipeprof.cli.formats.registry import Output, is_redacted, render
    from pipeprof.cli.html.gaps import gaps_page
    from pipeprof.cli.html.page import render_page
    from pipeprof.cli.pages.gaps import gaps_report
    from pipeprof.cli.render.style import Style

    def text(kind: str, style: Style, *, to_file: bool) -> str:
        shown, _ = output.prepare(report, None, hidden=is_redacted(kind, outputs.redact))
        one = Output(
            shown,
            lambda: gaps_report(shown),
            style,
            page=lambda: render_page(gaps_page(shown, list(gaps_report(shown)))),
            remarks=lambda: output.remarks_here(shown),
        )
        return render(kind, one, to_file=to_file)

    output.write_texts(text, outputs, color, None)
