"""The report of ``pipeprof gaps``: the verdict, causes, devices, the longest gaps, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeprof.cli.report.blocks import Blank, Block, Column, Heading, KeyValue, Prose, Table, TextSpan
from pipeprof.profiles.document.shared import GapCause
from pipeprof.profiles.gaps.document import DeviceGaps, GapsReport, TraceGaps
from pipeprof.profiles.gaps.names import CAUSES
from pipeprof.profiles.gaps.wording import (
    ADVICE,
    COPIES_FROM,
    Subject,
    copy_share_of,
    counted,
    during,
    file_name,
    stage_of,
    subjects_of,
)
from pipeprof.profiles.wording import percent, significant

_STYLES = {"input": "red", "cannot say": "yellow", "busy": "green"}
_ADVISED = 0.1
"""Share of the idle time from which a cause gets advice."""
_MOST_DEVICES, _LEAST_DEVICES, _MOST_CAUSES, _MOST_NOTES, _MOST_TRACES = 8, 3, 6, 3, 28
"""Rows of each kind."""
_ROOM = 17
"""Lines for causes, devices, notes and advice together: with all else the report is one screen of 45."""
_UNTIED = 0.1
"""Share of the idle time without a launch from which the report says so."""
_LITTLE = 0.001
"""Share of the idle time below which a cause is not listed."""


def gaps_report(report: GapsReport) -> Iterator[Block]:
    """Build the report: of one trace or folder in full, of two side by side, of more a line for each."""
    subjects = subjects_of(report)
    if len(subjects) > 2:
        yield from _many(subjects)
    else:
        for number, subject in enumerate(subjects):
            if number:
                yield Blank()
            yield from _one(subject, alone=len(subjects) == 1)
        if len(subjects) == 2:
            yield from _both(*(subject.trace for subject in subjects))
    yield Blank()
    yield KeyValue("Report by", f"pipeprof {report.tool.version}")


def _one(subject: Subject, *, alone: bool) -> Iterator[Block]:
    trace = subject.trace
    style = " ".join(filter(None, ("bold", _STYLES.get(trace.verdict, ""))))
    label, rest = verdict_words(trace)
    yield Prose((TextSpan(label, style), TextSpan(f"{rest}.")), indent=0)
    computing = [device for _, device in subject.devices if device.computes]
    form = f" ({trace.format})" if trace.format else ""
    yield KeyValue("trace", f"{trace.file}{form}{_window(computing)}", width=7)
    if trace.straggler is not None:
        yield KeyValue("", f"straggler: {trace.straggler} works longest, and the others wait for it", width=7)
    whys = dict.fromkeys(text for device in computing for text in device.why_no_causes if text not in trace.sentence)
    notes = [("note", note) for note in (*trace.notes, *_without_launch(computing))]
    notes += [("why", f"no causes: {why}") for why in whys]
    several = len(subject.devices) > 1
    shown = list(_listed(notes, _MOST_NOTES - several))
    yield from shown
    if not alone:
        return
    advised = advice_of(trace, computing)[: 2 if several else 3]
    causes = _MOST_CAUSES - bool(notes)
    yield from _causes(trace, computing, causes)
    if several:
        left = _ROOM - 2 * len(shown) - 2 * len(advised) - min(causes, len(trace.by_cause))
        yield from _device_rows(subject.devices, min(_MOST_DEVICES, max(_LEAST_DEVICES, left)))
    yield from _longest(subject)
    if advised:
        yield Heading("What to do", "derived from the causes; not tried")
        for cause, text in advised:
            yield KeyValue(cause, text, indent=2, width=13)


def _without_launch(devices: Sequence[DeviceGaps]) -> Iterator[str]:
    """Say where much of the idle time has causes that are those of the main thread."""
    shares = [device.without_launch_share for device in devices if device.without_launch_share is not None]
    if shares and max(shares) >= _UNTIED:
        yield (
            f"for {percent(max(shares))} of the idle time the trace lacks the launch of the next work: there the main "
            "thread gives the cause"
        )


def _listed(texts: Sequence[tuple[str, str]], most: int) -> Iterator[Block]:
    """A few sentences, and how many more there are."""
    for key, text in texts[:most]:
        yield KeyValue(key, text, width=7)
    if len(texts) > most:
        yield KeyValue("", f"{len(texts) - most:,} more in --json", width=7)


def _many(subjects: Sequence[Subject]) -> Iterator[Block]:
    """A row for each of several traces, those that idle most first."""
    traces = [subject.trace for subject in subjects]
    yield Prose((TextSpan(f"{counted(traces)}.", "bold"),), indent=0)
    traces.sort(key=lambda trace: -(trace.idle_share if trace.idle_share is not None else -1.0))
    shown = traces[:_MOST_TRACES]
    yield Heading("Traces", f"{len(traces) - len(shown):,} more in --json" if len(traces) > len(shown) else "")
    yield Table(
        [
            Column("", [trace.file for trace in shown], right=False, shrink_to=24),
            Column("idle", [_percent(trace.idle_share) for trace in shown]),
            Column("steps", [f"{trace.steps:,}" if trace.steps else "" for trace in shown], keep=0),
            Column("verdict", [trace.verdict for trace in shown], right=False),
            Column("largest cause", [_largest(trace.by_cause) for trace in shown], right=False, keep=3),
        ]
    )
    silent = [("why", f"{file_name(one)}: {one.sentence}") for one in traces if one.verdict == "cannot say"]
    yield from _listed(silent, _MOST_NOTES)


def verdict_words(trace: TraceGaps) -> tuple[str, str]:
    """The first words of the verdict, and the rest of its sentence."""
    if trace.sentence.startswith("cannot say"):
        return "Cannot say", trace.sentence.removeprefix("cannot say")
    return {"input": "Input-bound:", "busy": "Busy:"}.get(trace.verdict, "Idle:"), f" {trace.sentence}"


def _window(devices: Sequence[DeviceGaps]) -> str:
    if not devices:
        return ""
    first = devices[0]
    seconds = f"{significant(first.window_seconds)} s"
    if first.steps is not None:
        steps = "1 step" if first.steps == 1 else f"{first.steps:,} steps"
        return f", {steps} in {seconds}"
    return f", {seconds} from the first to the last event of the device"


def _causes(trace: TraceGaps, devices: Sequence[DeviceGaps], most: int) -> Iterator[Block]:
    total = sum(trace.by_cause.values())
    if not total:
        return
    devices = [device for device in devices if not device.why_no_causes]
    steps = sum(device.steps or 0 for device in devices)
    window = sum(device.window_seconds for device in devices)
    stage = stage_of(devices)
    rows = sorted(trace.by_cause.items(), key=lambda item: -item[1])
    rows = [(cause, seconds) for cause, seconds in rows if seconds >= _LITTLE * total]
    more = f"; {len(rows) - most} smaller ones in --json" if len(rows) > most else ""
    rows = rows[:most]
    each = [significant(1000 * seconds / steps) if steps else "" for _, seconds in rows]
    yield Heading("Causes", f"of the idle time{more}")
    yield Table(
        [
            Column("cause", [cause for cause, _ in rows], right=False),
            Column("of idle", [percent(seconds / total) for _, seconds in rows]),
            Column("of time", [percent(seconds / window) for _, seconds in rows]),
            Column("ms", [significant(1000 * seconds) for _, seconds in rows]),
            Column("ms per step", each),
            Column("meanwhile", [during(cause, stage) for cause, _ in rows], right=False, keep=0),
        ]
    )


def _device_rows(devices: Sequence[tuple[str, DeviceGaps]], most: int) -> Iterator[Block]:
    """A row for each device; of too many those that idle most."""
    shown = list(devices)
    more = ""
    if len(devices) > most:
        shown.sort(key=lambda one: -(one[1].idle_share if one[1].idle_share is not None else -1.0))
        shown = shown[:most]
        more = f"those that idle most; {len(devices) - len(shown):,} more in --json"
    yield Heading("Devices", more)
    its = [device for _, device in shown]
    yield Table(
        [
            Column("", [name for name, _ in shown], right=False, shrink_to=24),
            Column("idle", [_idle(device) for device in its]),
            Column("copies only", [_percent(device.copy_only_share) for device in its]),
            Column("of", [f"{significant(device.window_seconds)} s" for device in its], keep=1),
            Column("largest cause", [_largest_of(device) for device in its], right=False),
        ]
    )


def _percent(share: float | None) -> str:
    return percent(share) if share is not None else "n/a"


def _idle(device: DeviceGaps) -> str:
    if device.idle_share is not None:
        return percent(device.idle_share)
    return f"at most {percent(device.idle_at_most)}" if device.idle_at_most is not None else "n/a"


def _largest_of(device: DeviceGaps) -> str:
    return _largest(device.gaps.by_cause if device.gaps is not None else {}) if device.computes else "runs no kernels"


def _largest(by_cause: Mapping[GapCause, float]) -> str:
    if not by_cause:
        return "cannot say"
    cause = max(by_cause, key=lambda key: by_cause[key])
    return f"{cause} {percent(by_cause[cause] / sum(by_cause.values()))}"


def _longest(subject: Subject) -> Iterator[Block]:
    computing = [(name, device) for name, device in subject.devices if device.computes]
    rows = [(name, device, action) for name, device in computing for action in device.actions]
    rows = sorted(rows, key=lambda row: -row[2].gap.ms)[:10]
    if not rows:
        return
    several = len(computing) > 1
    causes = [action.gap.cause if not device.why_no_causes else "" for _, device, action in rows]
    actions = [action for _, _, action in rows]
    yield Heading("Longest gaps", "at: seconds since the window began")
    yield Table(
        [
            Column("at s", [f"{action.gap.start_s:.3f}" for action in actions]),
            Column("ms", [significant(action.gap.ms) for action in actions]),
            Column("", [name if several else "" for name, _, _ in rows], right=False, shrink_to=12),
            Column("cause", causes, right=False),
            Column("stage", [action.gap.stage or "" for action in actions], right=False, keep=1, shrink_to=12),
            Column("the host", [action.action or "" for action in actions], right=False, keep=3, shrink_to=16),
        ]
    )


def advice_of(trace: TraceGaps, devices: Sequence[DeviceGaps]) -> Sequence[tuple[str, str]]:
    """The largest causes, each with what would help against it; copies first, where devices do nothing else."""
    total = sum(trace.by_cause.values())
    idle = total if trace.verdict != "busy" else 0.0
    rows = sorted(trace.by_cause.items(), key=lambda item: -item[1])
    causes: dict[GapCause, None] = {"copy": None} if copy_share_of(devices) >= COPIES_FROM else {}
    causes |= {cause: None for cause, seconds in rows if idle and seconds >= _ADVISED * total}
    return [(cause, ADVICE[cause]) for cause in causes][:3]


def _both(before: TraceGaps, after: TraceGaps) -> Iterator[Block]:
    if before.idle_share is None or after.idle_share is None:
        return
    yield Heading("Before and after", f"{before.file} → {after.file}")
    rows: list[tuple[str, str, str, str]] = []
    rows.append(("idle", percent(before.idle_share), percent(after.idle_share), _points(before, after, None)))
    for cause in CAUSES:
        if any(share_of_time(trace, cause) >= _LITTLE for trace in (before, after)):
            cells = (percent(share_of_time(before, cause)), percent(share_of_time(after, cause)))
            rows.append((cause, *cells, _points(before, after, cause)))
    # The change that counts comes first; `idle` stays on top.
    rows[1:] = sorted(rows[1:], key=lambda row: -abs(float(row[3].split()[0].replace("−", "-") or 0)))
    yield Table(
        [
            Column("of the time", [row[0] for row in rows], right=False),
            Column("before", [row[1] for row in rows]),
            Column("after", [row[2] for row in rows]),
            Column("change", [row[3] for row in rows]),
        ]
    )


def share_of_time(trace: TraceGaps, cause: GapCause) -> float:
    """The share of all time that a device idles for a cause."""
    total = sum(trace.by_cause.values())
    return (trace.idle_share or 0.0) * trace.by_cause.get(cause, 0.0) / total if total else 0.0


def _points(before: TraceGaps, after: TraceGaps, cause: GapCause | None) -> str:
    if cause is None:
        change = (after.idle_share or 0.0) - (before.idle_share or 0.0)
    else:
        change = share_of_time(after, cause) - share_of_time(before, cause)
    points = round(100 * change, 1)
    return f"{points:+.1f} points".replace("-", "−") if points else "0 points"
