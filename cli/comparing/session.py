"""A session of pairs for a command: the result, where it is saved, and its report."""

from __future__ import annotations

import string
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pipeprof.cli import output
from pipeprof.cli.comparing.options import CompareOptions, GateOptions
from pipeprof.cli.comparing.report import build_result, next_command
from pipeprof.cli.formats.registry import Output, is_redacted, render
from pipeprof.cli.output import Outputs
from pipeprof.cli.private import redact_here
from pipeprof.cli.streams import say
from pipeprof.cli.targets.settings import registrations
from pipeprof.cli.targets.sides import GivenSide
from pipeprof.cli.render.progress import progress_for
from pipeprof.cli.render.style import Style
from pipeprof.profiles.document.store import ProfileWriter, places
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.host.host import versions
from pipeprof.profiles.judge.live import LiveSide, SideName
from pipeprof.profiles.judge.self_test import latest_receipt
from pipeprof.profiles.judge.verdicts.result import Arm, Result

_LETTERS = string.ascii_lowercase
"""Names of sides."""


def compared(
    kind: Literal["compare", "gate", "self-test"],
    sides: Sequence[GivenSide],
    outputs: Outputs,
    given: CompareOptions | GateOptions,
    body: Callable[[Result, Callable[[], object], RunProgress], None],
) -> Result:
    """Make the result of two or more sides, save it whatever happens, and report it.

    Args:
        body: Measures; receives the result, what saves it, and the progress.

    Raises:
        PipeprofError: The result or a report could not be written.
    """
    a, b, *further = sides
    began, now = time.monotonic(), datetime.now(timezone.utc)
    result = Result(
        kind=kind,
        tool=Tool(version=versions()["pipeprof"] or "unknown"),
        command=["pipeprof", *sys.argv[1:]],
        started=now.isoformat(timespec="seconds"),
        a=a.shown,
        b=b.shown,
        further=[Arm(name=name, side=side.shown) for name, side in zip(_LETTERS[2:], further, strict=False)],
    )
    _warn_of_withheld(sides, result)
    writer = ProfileWriter(
        places(f"{kind}-{b.name}", now.strftime("%Y%m%dT%H%M%SZ"), outputs.profile),
        redact_here if outputs.redact else None,
    )
    again = "so does each process that is measured"
    settings = [side.settings for side in sides if side.settings is not None]
    for note in dict.fromkeys(note for one in settings for note in registrations(one, again)):
        say(f"pipeprof: note: {note}")
    progress = progress_for(sys.stderr, quiet=given.quiet, verbose=given.verbose)
    try:
        body(result, lambda: writer.write(result), progress)
        if kind == "gate" and not result.errors and writer.path is not None:
            # Where this result is: a checkout may hold a `pipeprof-out` that somebody else has filled.
            result.self_test = latest_receipt(writer.path.parent, result.b.text)
        result.complete = not result.errors
        result.exit_code = result.exit_code or 0
    finally:
        progress.close()
        result.seconds = round(time.monotonic() - began, 2)
        writer.write(result, final=True)
        outputs = output.settle(outputs, writer, result, complete=result.complete)
    for warning in writer.warnings:
        say(f"pipeprof: warning: {warning}")
    write_result(result, writer.path, outputs, given.color, verbose=given.verbose)
    writer.require_saved()
    return result


def _warn_of_withheld(sides: Sequence[GivenSide], result: Result) -> None:
    """Warn where a function may read what the tree of its ref has not."""
    from pipeprof.profiles.document.messages import Message

    for side in sides:
        if side.withheld:
            first, more = side.withheld[0], len(side.withheld) - 1
            note = f"{side.shown.text}: {first}" + (f"; so are {more:,} more files" if more else "")
            result.warnings.append(Message(code="not-at-ref", message=note))


def live_sides(sides: Sequence[GivenSide]) -> dict[SideName, LiveSide]:
    """All sides as they are measured now, by their names."""
    return {name: live(side) for name, side in zip(_LETTERS, sides, strict=False)}


def live(side: GivenSide) -> LiveSide:
    """A side that is measured now, with a place for its own profile."""
    from pipeprof.profiles.judge.live import LiveSide

    assert side.settings is not None  # noqa: S101 - for the type checker: the caller has looked
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return LiveSide(side.settings, ProfileWriter(places(side.name, stamp)))


def warn_of_steps(sides: Sequence[GivenSide], result: Result) -> None:
    """Warn where sides have different steps, so that their intervals do not compare, or one that proves nothing."""
    from pipeprof.pipelines.steps.kinds.recorded import KIND as RECORDED
    from pipeprof.pipelines.steps.registry import step_kind
    from pipeprof.profiles.advise.claims import warning
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.harness.settings import plan

    planned = [plan(side.settings) for side in sides if side.settings is not None]
    # Each side has a file of its own with the times of a recorded step.
    recorded = [one.step.arguments if one.step.kind == RECORDED.name else {} for one in planned]
    steps = [
        one.step_text
        + (f" ({times['p50_ms']:.3g} ms)" if times else "")
        + (f", dispatch {one.dispatch}" if one.dispatch is not None else "")
        for times, one in zip(recorded, planned, strict=True)
    ]
    if len({*zip(steps, map(str, recorded), strict=True)}) > 1:
        each = ", ".join(f"{name} has step {step}" for name, step in zip(_LETTERS.upper(), steps, strict=False))
        every = "both" if len(steps) == 2 else "all"
        note = f"{each}: their intervals do not compare; --step sets {every}"
        result.warnings.append(Message(code="other-step", message=note))
    optimistic = dict.fromkeys(step_kind(one.step.kind).too_optimistic(one.step.arguments) for one in planned)
    result.warnings += [warning(why) for why in optimistic if why is not None]


def write_result(result: Result, saved: Path | None, outputs: Outputs, color: str, *, verbose: bool) -> None:
    """Print the report of a result and write the files; the result itself is saved already.

    Raises:
        OutputError: Stdout or a file could not be written; everything else was.
    """
    from pipeprof.cli.html.page import render_page
    from pipeprof.cli.html.result import result_page

    def text(kind: str, style: Style, *, to_file: bool) -> str:
        shown, path = output.prepare(result, saved, hidden=is_redacted(kind, outputs.redact))
        one = Output(
            shown,
            lambda: build_result(shown, path, verbose=verbose),
            style,
            page=lambda: render_page(
                result_page(shown, path, list(build_result(shown, path, verbose=True)), next_command(shown))
            ),
            remarks=lambda: output.remarks_here(shown),
        )
        return render(kind, one, to_file=to_file)

    output.write_texts(text, outputs, color, saved)
