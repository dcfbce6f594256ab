"""The output of ``show --history``: the latest gates of a series, its course as one line, and where it changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pipeprof.cli.text.blocks import Blank, Block, Column, Heading, KeyValue, Legend, Prose, Table
from pipeprof.profiles.history.entry import describe_class
from pipeprof.profiles.history.series import ChangePoint, GatePoint, GateSeries, HistoryReport
from pipeprof.profiles.wording import as_typed, milliseconds, ratio_text, size, span_text

ROWS = 12
"""Gates in the table: with all else, one screen."""
_LINE = 60
"""Gates in the line."""
_MARKS = "▁▂▃▄▅▆▇█"
_OTHERS = 5
_NAMED = 5
_COMMIT = 10


def sparkline(values: Sequence[float | None]) -> str:
    """Values as a line of marks, on a scale of logarithms; a dot where there is none.

    Example:
        >>> sparkline([1.0, 1.1, None, 1.3])
        '▁▄·█'
    """
    known = [math.log(value) for value in values if value]
    if not known:
        return "·" * len(values)
    low, span = min(known), max(known) - min(known)
    most = len(_MARKS) - 1
    marks = [_MARKS[round(most * (math.log(value) - low) / span)] if value and span else "" for value in values]
    return "".join(mark or (_MARKS[0] if value else "·") for mark, value in zip(marks, values, strict=True))


def history_report(report: HistoryReport) -> Iterator[Block]:
    """Build the report: the series of the latest gate in full, of the others a line each."""
    first, *others = report.series
    yield from _of_series(report.place, first)
    if others:
        yield Heading("Other targets", f"{len(others)}")
        for series in others[:_OTHERS]:
            yield Prose(f"{_name(series)} · {len(series.gates)} gates {sparkline(_levels(series)[-20:])}", hang=2)
        if len(others) > _OTHERS:
            yield Legend([("", f"{len(others) - _OTHERS} more: --json has all.")])
    if report.damaged:
        more = f"; {len(report.damaged) - 3} more" if len(report.damaged) > 3 else ""
        yield Prose(f"Skipped: {'; '.join(report.damaged[:3])}{more}", indent=0, style="yellow")


def _of_series(place: str, series: GateSeries) -> Iterator[Block]:
    yield Heading(_name(series), f"{len(series.gates)} gates in {place}")
    levels = _levels(series)
    if any(levels):
        known = [level for level in levels if level]
        yield KeyValue("pace", f"{sparkline(levels[-_LINE:])}  {span_text(min(known), max(known))} × reference", 2, 6)
    for number, host in enumerate(series.hosts):
        title = "host" if len(series.hosts) == 1 else f"host {number + 1}"
        yield KeyValue(title, describe_class(host), 2, 6)
    yield Blank()
    shown = list(enumerate(series.gates))[-ROWS:]
    yield _table(shown, hosts=len(series.hosts) > 1)
    hidden = len(series.gates) - len(shown)
    notes = [("", "step: median of B; pace: step over the reference workload's, within pairs; B / A: within pairs")]
    if hidden:
        notes.append(("", f"{hidden} earlier gates: --json has all."))
    yield Legend(notes)
    yield from _changes(series)


def _table(shown: Sequence[tuple[int, GatePoint]], *, hosts: bool) -> Table:
    points = [point for _, point in shown]
    return Table(
        [
            Column("gate", [str(number + 1) for number, _ in shown]),
            Column("measured", [point.started[:16].replace("T", " ") for point in points], right=False, keep=2),
            Column("commit", [_commit(point) for point in points], right=False),
            *([Column("host", [str(point.host + 1) for point in points])] if hosts else []),
            Column("step", [milliseconds(point.step_ms) if point.step_ms else "" for point in points]),
            Column("pace", [f"{point.level:.3g}" if point.level else "" for point in points]),
            Column("B / A", [_change(point) for point in points], right=False),
            Column("B is", ["the same" if point.same else _words(point) for point in points], right=False),
            Column("memory", [size(point.peak_bytes) if point.peak_bytes else "" for point in points], keep=3),
        ]
    )


def _words(point: GatePoint) -> str:
    return "no difference > 3 %" if point.words == "no difference" else point.words


def _change(point: GatePoint) -> str:
    if point.change is None:
        return ""
    ends = f" ({span_text(point.low, point.high)})" if point.low is not None and point.high is not None else ""
    return f"{ratio_text(point.change)}{ends}"


def _commit(point: GatePoint) -> str:
    return (point.commit or "")[:_COMMIT] + ("*" if point.dirty else "")


def _changes(series: GateSeries) -> Iterator[Block]:
    if not series.changes:
        yield Prose("The pace has not changed by more than 3 %, as far as is certain.", indent=0)
        return
    yield Heading("Changes", "of the step interval by more than 3 %, all certain")
    for one in series.changes[-_NAMED:]:
        yield Prose(_describe(series, one), hang=2)
    if len(series.changes) > _NAMED:
        yield Legend([("", f"{len(series.changes) - _NAMED} earlier ones: --json has all.")])


def _describe(series: GateSeries, found: ChangePoint) -> str:
    point = series.gates[found.gate]
    how = "from the pairs of that gate" if found.how == "pairs" else "from the gates around it"
    at = f"gate {found.gate + 1}" + (f", commit {_commit(point)}" if point.commit else "")
    return f"{at}: {ratio_text(found.change)} ({span_text(found.low, found.high)}), {how}"


def _levels(series: GateSeries) -> list[float | None]:
    """What the line shows: the pace over the reference workload; where no gate has that, the step interval."""
    levels = [point.level for point in series.gates]
    return levels if any(levels) else [point.step_ms for point in series.gates]


def _name(series: GateSeries) -> str:
    function = f":{series.target.function}" if series.target.function else ""
    step = f" · step {series.step}" if series.step and not series.step.startswith("none") else ""
    return f"{as_typed(series.target.file)}{function}{step}"
