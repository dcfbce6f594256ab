"""The report of ``pipeprof gaps``: the verdict, causes, devices, the longest gaps, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeprof.cli.text.blocks import Blank, Block, Column, Heading, KeyValue, Prose, Table, TextSpan
from pipeprof.profiles.document.shared import GapCause
from pipeprof.profiles.gaps.document import DeviceGaps, GapsReport, TraceGaps
from pipeprof.profiles.gaps.names import CAUSES
from pipeprof.profiles.gaps.wording import ADVICE, during
from pipeprof.profiles.wording import percent, significant

_STYLES = {"input": "red", "cannot say": "yellow", "busy": "green"}
_ADVISED = 0.1
"""Share of the idle time from which a cause gets advice."""
_MOST_DEVICES = 8
_LITTLE = 0.001
"""Share of the idle time below which a cause is not listed."""


def gaps_report(report: GapsReport) -> Iterator[Block]:
    """Build the report: of one trace in full, of two side by side, of more a line for each."""
    for number, trace in enumerate(report.traces):
        if number:
            yield Blank()
        yield from _trace(trace, _devices_of(report, number), alone=len(report.traces) == 1)
    if len(report.traces) == 2:
        yield from _both(report)
    yield Blank()
    yield KeyValue("Report by", f"pipeprof {report.tool.version}")


def _devices_of(report: GapsReport, number: int) -> list[DeviceGaps]:
    return [device for device in report.devices if device.trace == number]


def _trace(trace: TraceGaps, devices: Sequence[DeviceGaps], *, alone: bool) -> Iterator[Block]:
    style = " ".join(filter(None, ("bold", _STYLES.get(trace.verdict, ""))))
    label, rest = verdict_words(trace)
    yield Prose((TextSpan(label, style), TextSpan(f"{rest}.")), indent=0)
    computing = [device for device in devices if device.computes]
    yield KeyValue("trace", f"{trace.file} ({trace.format}){_window(computing)}", width=7)
    if trace.straggler is not None:
        yield KeyValue("", f"{trace.straggler} works longest while the others wait for it: the straggler", width=7)
    for note in trace.notes:
        yield KeyValue("note", note, width=7)
    for why in dict.fromkeys(text for device in computing for text in device.why_no_causes):
        if why not in trace.sentence:
            yield KeyValue("why", f"no causes: {why}", width=7)
    if not alone:
        return
    yield from _causes(trace, computing)
    if len(devices) > 1:
        yield from _device_rows(devices)
    yield from _longest(computing)
    yield from _advice(trace)


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


def _causes(trace: TraceGaps, devices: Sequence[DeviceGaps]) -> Iterator[Block]:
    total = sum(trace.by_cause.values())
    if not total:
        return
    steps = sum(device.steps or 0 for device in devices)
    window = sum(device.window_seconds for device in devices)
    stage = next((device.stage for device in devices if device.stage is not None), None)
    rows = sorted(trace.by_cause.items(), key=lambda item: -item[1])
    rows = [(cause, seconds) for cause, seconds in rows if seconds >= _LITTLE * total]
    each = [significant(1000 * seconds / steps) if steps else "" for _, seconds in rows]
    yield Heading("Causes", "of the time in which the device has nothing to do")
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


def _device_rows(devices: Sequence[DeviceGaps]) -> Iterator[Block]:
    shown = devices[:_MOST_DEVICES]
    more = f"{len(devices) - len(shown)} more in --json" if len(devices) > len(shown) else ""
    yield Heading("Devices", more)
    yield Table(
        [
            Column("", [device.name for device in shown], right=False),
            Column("idle", [_idle(device) for device in shown]),
            Column("copies only", [_percent(device.copy_only_share) for device in shown]),
            Column("of", [f"{significant(device.window_seconds)} s" for device in shown], keep=1),
            Column("largest cause", [_largest(device) for device in shown], right=False),
        ]
    )


def _percent(share: float | None) -> str:
    return percent(share) if share is not None else "n/a"


def _idle(device: DeviceGaps) -> str:
    if device.idle_share is not None:
        return percent(device.idle_share)
    return f"at most {percent(device.idle_at_most)}" if device.idle_at_most is not None else "n/a"


def _largest(device: DeviceGaps) -> str:
    if not device.computes:
        return "runs no kernels"
    by_cause = device.gaps.by_cause if device.gaps is not None else {}
    if not by_cause:
        return "cannot say"
    cause = max(by_cause, key=lambda key: by_cause[key])
    return f"{cause} {percent(by_cause[cause] / sum(by_cause.values()))}"


def _longest(devices: Sequence[DeviceGaps]) -> Iterator[Block]:
    rows = [(device.name, action) for device in devices for action in device.actions]
    rows = sorted(rows, key=lambda row: -row[1].gap.ms)[:10]
    if not rows:
        return
    explained = any(not device.why_no_causes for device in devices)
    several = len(devices) > 1
    yield Heading("Longest gaps", "by the time since the window began")
    yield Table(
        [
            Column("at s", [f"{action.gap.start_s:.3f}" for _, action in rows]),
            Column("ms", [significant(action.gap.ms) for _, action in rows]),
            Column("", [name if several else "" for name, _ in rows], right=False),
            Column("cause", [action.gap.cause if explained else "" for _, action in rows], right=False),
            Column("stage", [action.gap.stage or "" for _, action in rows], right=False, keep=1, shrink_to=12),
            Column("the host", [action.action or "" for _, action in rows], right=False, keep=3, shrink_to=16),
        ]
    )


def _advice(trace: TraceGaps) -> Iterator[Block]:
    if advised := advice_of(trace):
        yield Heading("What to do", "derived from the causes; not tried")
        for cause, text in advised:
            yield KeyValue(cause, text, indent=2, width=13)


def advice_of(trace: TraceGaps) -> Sequence[tuple[str, str]]:
    """The largest causes, each with what would help against it."""
    total = sum(trace.by_cause.values())
    if trace.verdict == "busy" or not total:
        return []
    rows = sorted(trace.by_cause.items(), key=lambda item: -item[1])
    return [(cause, ADVICE[cause]) for cause, seconds in rows if seconds >= _ADVISED * total][:3]


def _both(report: GapsReport) -> Iterator[Block]:
    before, after = report.traces
    if before.idle_share is None or after.idle_share is None:
        return
    yield Heading("Before and after", f"{before.file} → {after.file}")
    rows: list[tuple[str, str, str, str]] = []
    rows.append(("idle", percent(before.idle_share), percent(after.idle_share), _points(before, after, None)))
    for cause in CAUSES:
        if any(share_of_time(trace, cause) >= _LITTLE for trace in report.traces):
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
