"""``pipeprof gaps``: why a device idles, from traces of other profilers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Color, Force, Json, Redact, Text, Texts, format_of, option, out_of

if TYPE_CHECKING:
    from pipeprof.cli.output import Outputs
    from pipeprof.profiles.gaps.document import GapsLimit, GapsReport

EPILOG = epilog(
    "pipeprof gaps logs/plugins/profile/2026_11_27_08_00_00",
    "pipeprof gaps before.pt.trace.json.gz after.pt.trace.json.gz",
    "pipeprof gaps report.sqlite --json | jq '.devices[].idle_share'",
    "pipeprof gaps host.xplane.pb --fail-on idle=20% --out gaps.xml",
)


def gaps(
    traces: Annotated[
        list[str],
        typer.Argument(
            metavar="TRACE...",
            help="*.xplane.pb or a TensorBoard log folder, *.pt.trace.json(.gz), *.sqlite of Nsight Systems. "
            "Two files: before and after.",
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
    """Find out why a device idles, from a trace of TensorFlow, JAX, PyTorch or Nsight Systems.

    Divides the time in which the device has no work by what the host did until it launched the next work. What a trace
    cannot show is left open, with the reason. Loads no TensorFlow.
    """
    import sys

    from pipeprof.cli import output
    from pipeprof.cli.options import COLORS, choice
    from pipeprof.profiles.document.subject import Tool
    from pipeprof.profiles.gaps.analyse import analyse
    from pipeprof.profiles.gaps.document import GapsReport
    from pipeprof.profiles.gaps.reading import find_traces, read_trace
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
    for file in [file for text in traces for file in find_traces(Path(text))]:
        found, devices = analyse(read_trace(file), output.shown_path(file) or "", len(report.traces))
        report.traces.append(found)
        report.devices += devices
    report.exit_code = exit_code_of(report)
    _write(report, outputs, color)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


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
    """Return the exit code: 3 above the limit, 4 where that cannot be said, 6 without any idle share."""
    from pipeprof.cli import exit_codes
    from pipeprof.profiles.gaps.wording import judged

    verdicts = {one.verdict for one in judged(report)}
    if report.limit is not None and "above" in verdicts:
        return exit_codes.GATE
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
    from pipeprof.cli.text.style import Style

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
