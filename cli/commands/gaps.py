"""``pipeprof gaps``: why a device idles, from traces of other profilers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pipeprof.cli.exit_codes import GATE, INCONCLUSIVE, OK, UNUSABLE
from pipeprof.cli.options import GapsOptions
from pipeprof.cli.output import plan_outputs, shown_path
from pipeprof.cli.render.progress import draws_on, progress_for
from pipeprof.cli.reports import write_result
from pipeprof.cli.values import choice
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.profile import Tool
from pipeprof.profiles.gaps.analyse import analyse
from pipeprof.profiles.gaps.document import GapsLimit, GapsReport, TraceGaps
from pipeprof.profiles.gaps.limit import judge
from pipeprof.profiles.gaps.names import CAUSES
from pipeprof.profiles.gaps.reading import find_traces, read_trace
from pipeprof.profiles.gaps.trace import TraceError
from pipeprof.profiles.harness.settings import RunProgress
from pipeprof.profiles.host.host import versions

_MOST_UNREAD = 3
"""Files whose errors are printed where none is a trace."""


def gaps(given: GapsOptions) -> int:
    """Divide the idle time of a device by its causes."""
    limit, outputs = _limit(given.fail_on), plan_outputs(given, "gaps")
    report = GapsReport(
        tool=Tool(version=versions()["pipeprof"] or "unknown"),
        command=["pipeprof", *sys.argv[1:]],
        traces=[],
        devices=[],
        limit=limit,
    )
    found = [find_traces(Path(text)) for text in given.traces]
    alone = sum(len(files) for files, _ in found) == 1
    # A log has no line of what is over in a second.
    with closing(progress_for(sys.stderr, quiet=not draws_on(sys.stderr), verbose=False)) as progress:
        for files, notes in found:
            _add(report, files, notes, alone=alone, progress=progress)
    if not any(trace.readable for trace in report.traces):
        named = [f"{trace.file}: {trace.sentence.partition(': ')[2]}" for trace in report.traces[:_MOST_UNREAD]]
        raise TraceError(f"none of {len(report.traces):,} files is a trace; {'; '.join(named)}")
    report.exit_code = exit_code_of(report)
    write_result(report, None, outputs)
    return report.exit_code


def _add(
    report: GapsReport, files: Sequence[Path], notes: Sequence[str], *, alone: bool, progress: RunProgress
) -> None:
    """Add what one argument names, with `notes` on the rest of a folder; one `alone` that is no trace is an error."""
    first = len(report.traces)
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
        report.traces.append(found)
        report.devices += devices
    report.traces[first].notes[:0] = notes


def _limit(text: str | None) -> GapsLimit | None:
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
    verdicts = {one.verdict for one in judge(report, report.limit)} if report.limit is not None else set()
    if "above" in verdicts:
        return GATE
    if not all(trace.readable for trace in report.traces):
        return UNUSABLE
    if "cannot say" in verdicts:
        return INCONCLUSIVE
    computing = [device for device in report.devices if device.computes]
    said = any(device.idle_share is not None or device.idle_at_most is not None for device in computing)
    return OK if said else UNUSABLE
