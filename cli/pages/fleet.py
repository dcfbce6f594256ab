"""What the commands of `pipeprof fleet` print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import TypeVar

from pipeprof.cli.text.blocks import Blank, Block, Column, Heading, KeyValue, Legend, Prose, Table
from pipeprof.profiles.fleet.answers import (
    Added,
    FindingRow,
    FleetAnswer,
    HostRow,
    QueryAnswer,
    RegressionRow,
    Skipped,
    TopRow,
)
from pipeprof.profiles.wording import percent, ratio_text, significant, span_text

ROWS = 20
"""In a table: with all else, one screen."""
_COMMIT = 10
_MOST_CELL = 60
_Row = TypeVar("_Row", TopRow, RegressionRow, FindingRow, HostRow, Skipped)


def describe_added(report: Added) -> Iterator[Block]:
    """Describe what was added, and what was not and why."""
    added = f"{report.added:,} profile{'' if report.added == 1 else 's'}"
    yield KeyValue("added", f"{added} to {report.fleet}", 0, 9)
    if report.known:
        yield KeyValue("known", f"{report.known:,} were in it already", 0, 9)
    if report.skipped:
        kinds = Counter(one.kind for one in report.skipped)
        counts = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
        yield KeyValue("skipped", counts, 0, 9)
        yield Blank()
        yield from _rows(
            report.skipped, ("", lambda row: row.kind), ("file", lambda row: row.file), ("why", lambda row: row.reason)
        )


def describe_answer(found: FleetAnswer) -> Iterator[Block]:
    """Describe what a question gave."""
    runs = f"{found.runs:,} profiles of {found.pipelines:,} pipelines in {found.fleet}"
    if found.question == "top":
        yield Heading("What waits most", f"{runs}, by {found.cost}")
        yield from _top(found)
    elif found.question == "regressions":
        yield Heading("What became slower", runs)
        yield from _regressions(found.regressions)
    elif found.question == "findings":
        yield Heading("What is found most", runs)
        yield from _findings(found.findings)
    else:
        yield Heading("Hosts", runs)
        yield from _hosts(found.hosts)
    for note in found.notes:
        yield Prose(note, style="dim")


def describe_rows(found: QueryAnswer, *, more: bool) -> Iterator[Block]:
    """Describe the rows of a question in SQL."""
    numeric = [
        all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values)
        for values in (zip(*found.rows, strict=True) if found.rows else ([] for _ in found.columns))
    ]
    columns = [
        Column(name or " ", [_cell(row[place]) for row in found.rows], right=numeric[place])
        for place, name in enumerate(found.columns)
    ]
    if found.rows:
        yield Table(columns, indent=0)
    count = f"{len(found.rows):,} row{'' if len(found.rows) == 1 else 's'}"
    yield Prose(f"the first {count}; --json has all" if more else count, indent=0, style="dim")


def plain(value: object) -> object:
    """A value of DuckDB as JSON has it: times in ISO 8601, no number that JSON lacks."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return significant(value, 4)
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST_CELL else f"{text[: _MOST_CELL - 1]}…"


def _top(found: FleetAnswer) -> Iterator[Block]:
    hours = found.cost == "device hours"
    yield from _rows(
        found.top,
        ("wasted h", lambda row: _hours(row.wasted_hours)),
        ("of h", lambda row: _hours(row.device_hours)),
        ("waits", lambda row: percent(row.wait_share) if row.wait_share is not None else "n/a"),
        ("profiled", lambda row: "" if hours else f"{row.seconds:,.0f} s"),
        ("pipeline", lambda row: row.pipeline),
        ("runs", lambda row: f"{row.runs:,}"),
        ("jobs", lambda row: f"{row.jobs:,}" if row.jobs else ""),
        ("limit", lambda row: row.limited_by or ""),
        ("proven", lambda row: f"{ratio_text(row.speedup)} {row.rule}" if row.speedup is not None else ""),
    )
    yield Legend(
        [
            ("wasted h", "wasted h: device hours of the jobs times the share of the time that their device waits"),
            ("profiled", "waits: share of the profiled time in which the device waits"),
            ("proven", "proven: the largest measured gain of a change"),
        ]
    )


def _hours(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 10 else significant(value, 2)


def _regressions(rows: Sequence[RegressionRow]) -> Iterator[Block]:
    if not rows:
        yield Prose("No series became slower by more than 3 % for certain.")
        return
    yield from _rows(
        rows,
        ("slower", lambda row: f"{ratio_text(row.slower)} ({span_text(row.low, row.high)})"),
        ("pipeline", lambda row: row.pipeline),
        ("since", lambda row: row.started[:16].replace("T", " ")),
        ("commit", _commits),
        ("runs", lambda row: f"{row.runs_before} → {row.runs_after}"),
        ("per second", lambda row: f"{significant(row.before)} → {significant(row.after)} {row.unit}"),
        ("until", lambda row: (row.faster_again or "")[:10]),
        ("hosts", lambda row: row.hosts),
    )
    yield Legend(
        [
            ("slower", "slower: time per element over what it was, on the same hosts, with its 98 % interval"),
            ("until", "until: it became faster again"),
        ]
    )


def _commits(row: RegressionRow) -> str:
    if row.commit is None:
        return ""
    if row.before_commit in (None, row.commit):
        return row.commit[:_COMMIT]
    return f"{(row.before_commit or '')[:_COMMIT]}..{row.commit[:_COMMIT]}"


def _findings(rows: Sequence[FindingRow]) -> Iterator[Block]:
    yield from _rows(
        rows,
        ("rule", lambda row: row.rule),
        ("pipelines", lambda row: f"{row.pipelines:,}"),
        ("runs", lambda row: f"{row.runs:,}"),
        ("proven", lambda row: f"{row.proven:,}"),
        ("gain", lambda row: ratio_text(row.speedup) if row.speedup is not None else ""),
        ("largest", lambda row: ratio_text(row.largest) if row.largest is not None else ""),
        ("in", lambda row: row.in_pipeline or ""),
        ("no gain", lambda row: f"{row.rejected:,}"),
        ("not tried", lambda row: f"{row.untried:,}"),
    )
    yield Legend([("gain", "gain: median of the measured ones; largest: of these")])


def _hosts(rows: Sequence[HostRow]) -> Iterator[Block]:
    yield from _rows(
        rows,
        ("", lambda row: "slow" if row.slow else ""),
        ("host", lambda row: row.host),
        ("time", _slower),
        ("compared", lambda row: f"{row.compared:,}"),
        ("runs", lambda row: f"{row.runs:,}"),
        ("cores", lambda row: f"{row.cores:g}" if row.cores is not None else ""),
        ("others", lambda row: f"{row.others_cores:.1f}" if row.others_cores is not None else ""),
        ("disturbed", lambda row: percent(row.disturbed_share) if row.disturbed_share is not None else ""),
    )
    yield Legend(
        [
            ("time", "time: per element over that of the other hosts on the same pipelines, with its 98 % interval"),
            ("others", "others: cores that other processes used, the median"),
        ]
    )


def _slower(row: HostRow) -> str:
    if row.slower is None:
        return ""
    known = row.low is not None and row.high is not None
    return ratio_text(row.slower) + (f" ({span_text(row.low or 0, row.high or 0)})" if known else "")


_TEXTS = frozenset(
    {"", "file", "why", "pipeline", "limit", "proven", "since", "commit", "until", "hosts", "rule", "in"}
)
"""Columns of words, which begin at the left."""


def _rows(rows: Sequence[_Row], *columns: tuple[str, Callable[[_Row], str]]) -> Iterator[Block]:
    shown = rows[:ROWS]
    yield Table(
        [
            Column(
                title,
                [read(row) for row in shown],
                right=title not in _TEXTS,
                shrink_to=24 if title in {"pipeline", "file", "in"} else None,
                keep=place if place > 4 else None,
            )
            for place, (title, read) in enumerate(columns)
        ]
    )
    if len(rows) > ROWS:
        yield Legend([("", f"{len(rows) - ROWS:,} more: --json has all")])
