"""The report of ``pipeprof gaps``: how long devices idle, why, the longest gaps, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TypeAlias, TypeVar

from pipeprof.cli.report.blocks import Bar, Block, Chart, Column, Heading, Pairs, Span, Table, Text
from pipeprof.profiles.gaps.document import DeviceGaps, GapsLimit, GapsReport, Subject, TraceGaps
from pipeprof.profiles.gaps.limit import JudgedDevice, judge
from pipeprof.profiles.gaps.sentences import ADVICE, COPIES_FROM, cause_words, main_causes
from pipeprof.profiles.wording import CAUSE_WORDS, percent, significant

_STYLES = {"input": "bold red", "cannot say": "bold yellow", "busy": "bold green"}
_GAPS, _CAUSES, _DEVICES, _NOTES, _TRACES = 5, 6, 8, 3, 20
"""Rows of each kind in the short form."""
_NAME = 40
"""Characters of an event's name there."""
_UNTIED = 0.1
"""Share of the idle time without a launch from which the report says so."""
_LITTLE = 0.001
"""Share of all time below which a cause has no row in the short form."""
_Row = TypeVar("_Row")
_Named: TypeAlias = tuple[str, TraceGaps] | tuple[str, DeviceGaps]


def build_gaps(report: GapsReport, *, full: bool) -> Iterator[Block]:
    """Build the report: of one trace all sections, of several a row for each."""
    subjects = report.subjects()
    if len(subjects) > 1:
        waiting = sum(trace.verdict == "input" for trace in report.traces)
        sentence = f"In {waiting:,} of {len(subjects):,} traces the device waits mostly for data."
        yield Text((Span(sentence, "bold"),), indent=0)
        yield from _traces(report.traces, full=full)
    for subject in subjects if full or len(subjects) == 1 else ():
        yield from _head(subject, full=full)
        yield from _sections(subject, full=full)
    yield from _limit(report, full=full)
    rows = [("Report by", f"pipeprof {report.tool.version}")]
    yield Pairs([("Command", shlex.join(report.command)), *rows] if full and report.command else rows, indent=0)


def describe_judged(one: JudgedDevice, limit: GapsLimit) -> str:
    """Say how long a device idles, and what the limit allows."""
    share = one.share if one.share is not None else one.at_most
    if share is None or one.verdict == "cannot say":
        return one.trace.sentence
    what = "idle" if limit.name == "idle" else f"idle for {limit.name}"
    most = "" if one.share is not None else "at most "
    return f"{what} {most}{percent(share)} of its time, allowed {percent(limit.share)}"


def _limit(report: GapsReport, *, full: bool) -> Iterator[Block]:
    if (limit := report.limit) is not None:
        judged = sorted(judge(report, limit), key=lambda one: one.verdict == "within")
        several = len(report.traces) > 1
        names = [f"{one.trace.file} {one.device}" if several else one.device for one in judged]
        rows = [(name, describe_judged(one, limit)) for name, one in zip(names, judged, strict=True)]
        yield Heading("Limit", f"{limit.name} {percent(limit.share)}")
        yield from _pairs(*_first(rows, _NOTES, full=full))


def _head(subject: Subject, *, full: bool) -> Iterator[Block]:
    """The verdict, what it was read from, and what limits it."""
    trace, devices = subject.trace, subject.computing
    sentence = f"{trace.sentence[:1].upper()}{trace.sentence[1:]}."
    yield Text((Span(sentence, _STYLES.get(trace.verdict, "bold")),), indent=0)
    form = f" ({trace.format})" if trace.format else ""
    rows = [("trace", f"{trace.file}{form}{_window(devices)}")]
    notes = [("note", note) for note in trace.notes]
    untied = max((device.without_launch_share or 0.0 for device in devices), default=0.0)
    if untied >= _UNTIED:
        words = f"for {percent(untied)} of the idle time the trace lacks the launch of the next work"
        notes.append(("note", f"{words}: there the main thread gives the cause"))
    whys = dict.fromkeys(why for device in devices for why in device.why_no_causes if why not in trace.sentence)
    noted, more = _first([*notes, *(("no causes", why) for why in whys)], _NOTES, full=full)
    yield from _pairs([*rows, *noted], more)


def _window(devices: Sequence[DeviceGaps]) -> str:
    if not devices:
        return ""
    seconds, steps = f"{significant(devices[0].window_seconds)} s", devices[0].steps
    if steps is None:
        return f", {seconds} from the first to the last event of the device"
    return f", {steps:,} step{'' if steps == 1 else 's'} in {seconds}"


def _sections(subject: Subject, *, full: bool) -> Iterator[Block]:
    yield from _causes(subject, full=full)
    if full or len(subject.devices) > 1:
        yield from _rows("Devices", [(one.name, one) for one in subject.devices], _DEVICES, full=full)
    yield from _longest(subject, full=full)
    trace = subject.trace
    advised = [cause for cause, _ in main_causes(trace)] if trace.verdict != "busy" else []
    if (trace.copy_only_share or 0.0) >= COPIES_FROM:
        advised = ["copy", *(cause for cause in advised if cause != "copy")]
    if advised:
        yield Heading("What to do", "follows from the causes; not tried")
        yield Pairs([(CAUSE_WORDS[cause], ADVICE[cause]) for cause in advised])


def _causes(subject: Subject, *, full: bool) -> Iterator[Block]:
    trace = subject.trace
    rows, more = _first([row for row in trace.shares() if full or row[1] >= _LITTLE], _CAUSES, full=full)
    if not rows:
        return
    steps = sum(device.steps or 0 for device in subject.computing if not device.why_no_causes)
    bars = [Bar(cause_words(one, trace.stage), [("idle", 100 * share, "wait")], percent(share)) for one, share in rows]
    spent = [1000 * trace.by_cause[cause] for cause, _ in rows]
    yield Heading("Causes", "; ".join(filter(None, ("of the idle time", more))))
    yield Table(
        [
            Column("", [bar.name for bar in bars], right=False),
            Column("of idle", [percent(share / (trace.idle_share or 1.0)) for _, share in rows]),
            Column("of time", [bar.text for bar in bars]),
            Column("ms", [significant(ms) for ms in spent], keep=0),
            Column("ms per step", [significant(ms / steps) if steps else "" for ms in spent], keep=1),
            Column("name", [cause for cause, _ in rows], right=False, keep=2, style="dim"),
        ]
    )
    title = "Idle time by cause, % of the time"
    yield Chart("bars", title, "The table of causes has the same numbers.", rows=bars)


def _traces(traces: Sequence[TraceGaps], *, full: bool) -> Iterator[Block]:
    yield from _rows("Traces", [(trace.file, trace) for trace in traces], _TRACES, full=full)
    unclear = [(trace.file, trace.sentence) for trace in traces if trace.verdict == "cannot say"]
    unclear += [(trace.file, note) for trace in traces for note in trace.notes]
    unclear = [(file.rpartition("/")[2], text) for file, text in unclear]
    yield from _pairs(*_first(unclear, _NOTES, full=full))


def _rows(title: str, rows: Sequence[_Named], most: int, *, full: bool) -> Iterator[Block]:
    """A row for each trace or device, those that idle most first."""
    ordered = sorted(rows, key=lambda row: row[1].idle_share if row[1].idle_share is not None else -1.0, reverse=True)
    shown, more = _first(ordered, most, full=full)
    its = [one for _, one in shown]
    yield Heading(title, more)
    yield Table(
        [
            Column("", [name for name, _ in shown], right=False, wrap=True),
            Column("idle", [_idle(one) for one in its]),
            Column("only copies", [_percent(one.copy_only_share) for one in its], keep=1),
            Column("steps", [f"{one.steps:,}" if one.steps else "" for one in its], keep=0),
            Column("main cause", [_main_cause(one) for one in its], right=False),
        ]
    )


def _longest(subject: Subject, *, full: bool) -> Iterator[Block]:
    found = [(device, one) for device in subject.computing for one in device.actions]
    rows, _ = _first(sorted(found, key=lambda row: -row[1].gap.ms), _GAPS, full=full)
    if not rows:
        return
    names = [device.name if len(subject.computing) > 1 else "" for device, _ in rows]
    causes = [cause_words(one.gap.cause, one.gap.stage) if not device.why_no_causes else "" for device, one in rows]
    yield Heading("Longest gaps", "at: seconds since the window began")
    yield Table(
        [
            Column("at s", [f"{one.gap.start_s:.3f}" for _, one in rows]),
            Column("ms", [significant(one.gap.ms) for _, one in rows]),
            Column("", names, right=False, wrap=True),
            Column("cause", causes, right=False),
            Column("the host", [_shortened(one.action or "", full=full) for _, one in rows], right=False, wrap=True),
            Column("thread", [one.thread or "" if full else "" for _, one in rows], right=False, keep=0),
        ]
    )


def _shortened(name: str, *, full: bool) -> str:
    return name if full or len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _percent(share: float | None) -> str:
    return percent(share) if share is not None else "n/a"


def _idle(one: TraceGaps | DeviceGaps) -> str:
    most = one.idle_at_most if isinstance(one, DeviceGaps) else None
    return _percent(one.idle_share) if most is None else f"at most {percent(most)}"


def _main_cause(one: TraceGaps | DeviceGaps) -> str:
    if isinstance(one, DeviceGaps) and not one.computes:
        return "runs no kernels"
    cause, share = next(iter(one.shares()), (None, 0.0))
    return f"{cause_words(cause, one.stage)} {percent(share)}" if cause is not None else "cannot say"


def _pairs(rows: Sequence[tuple[str, str]], more: str = "") -> Iterator[Block]:
    if rows:
        yield Pairs([*rows, ("", more)] if more else rows)


def _first(rows: Sequence[_Row], most: int, *, full: bool) -> tuple[list[_Row], str]:
    """The first rows, all in full, and how many more there are."""
    left = 0 if full else max(len(rows) - most, 0)
    return list(rows[: len(rows) - left]), f"{left:,} more: --out page.html" if left else ""
