"""The page of ``pipeprof gaps``: how long the devices idle, and why."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from pipeprof.cli.charts.areas import Bar, bars
from pipeprof.cli.charts.lanes import Lane, draw_lanes
from pipeprof.cli.charts.svg import Sheet
from pipeprof.cli.html.parts import Facts, Figure, Headline, Idents, Page, Part, Rows, Section
from pipeprof.cli.html.result import report_in_folds
from pipeprof.cli.html.run import json_of
from pipeprof.cli.pages.gaps import advice_of, share_of_time, verdict_words
from pipeprof.cli.text.blocks import Block
from pipeprof.profiles.document.store import encode
from pipeprof.profiles.gaps.document import DeviceGaps, GapsReport
from pipeprof.profiles.gaps.names import CAUSES
from pipeprof.profiles.gaps.wording import during
from pipeprof.profiles.wording import milliseconds, percent

_TONES = {"input": "bad", "cannot say": "unclear", "busy": "good"}
_MOST_DEVICES = 32
"""Devices with a bar."""


def gaps_page(report: GapsReport, blocks: Sequence[Block]) -> Page:
    """The page of all traces of a command.

    Args:
        blocks: The report in text.
    """
    idents = Idents()
    first, last = report.traces[0], report.traces[-1]
    label, rest = verdict_words(last if len(report.traces) == 2 else first)
    shares = [percent(trace.idle_share) for trace in report.traces if trace.idle_share is not None]
    several = len(report.traces) > 1
    sections = [
        Section(idents.of("causes"), "Causes", list(_causes(report, idents))),
        Section(
            idents.of("what to do"),
            "What to do",
            [Facts([(cause, text.replace("`", "")) for cause, text in advice])] if (advice := advice_of(last)) else [],
            "derived from the causes; not tried",
        ),
        Section(idents.of("devices"), "Devices", list(_devices(report, idents))),
        Section(idents.of("longest gaps"), "Longest gaps", list(_longest(report, idents))),
        Section(
            idents.of("numbers"),
            "All numbers",
            [*report_in_folds(blocks, idents), *json_of(encode(report).decode(), idents)],
        ),
    ]
    return Page(
        "gaps",
        " → ".join(trace.file for trace in report.traces),
        report.tool.version,
        Headline(
            _TONES.get(last.verdict, ""),
            label,
            rest,
            " → ".join(shares) if len(shares) == len(report.traces) else "",
            f"of the time idle{', before and after' if len(report.traces) == 2 else ''}",
            [] if several else [("note", note) for note in first.notes],
        ),
        [section for section in sections if section.parts],
        [f"{trace.file}: {trace.format}" for trace in report.traces] if several else [first.format],
        shlex.join(report.command),
    )


def _causes(report: GapsReport, idents: Idents) -> Iterator[Part]:
    """Shares of all time by cause; of two traces, before and after."""
    known = [trace for trace in report.traces if trace.idle_share is not None and sum(trace.by_cause.values()) > 0]
    if not known:
        return
    rows = []
    for cause in CAUSES:
        for trace in known:
            share = share_of_time(trace, cause)
            if share > 0 or (len(known) > 1 and any(share_of_time(one, cause) > 0 for one in known)):
                name = cause if len(known) == 1 else f"{cause}, {_name(report, report.traces.index(trace))}"
                rows.append((max(share_of_time(one, cause) for one in known), name, cause, share))
    rows.sort(key=lambda row: -row[0])
    drawn = []
    for _, name, cause, share in rows:
        words = f"{percent(share)}{'' if len(known) > 1 else f' · {during(cause, None)}'}"
        drawn.append(Bar(name, [(during(cause, None), share, "c-wait")], words))
    yield Figure(
        idents.of("time by cause"),
        "Time without work for the device, by what the host did",
        partial(_draw_shares, rows=drawn),
        "; ".join(f"{bar.name} {bar.words}" for bar in drawn) + ".",
        "Shares of all time. Together they are the time in which the device idles.",
        table=Rows(
            ("cause", "of the time", "meanwhile"),
            [(name, percent(share), during(cause, None)) for _, name, cause, share in rows],
        ),
    )


def _name(report: GapsReport, trace: int) -> str:
    return ("before", "after")[trace] if len(report.traces) == 2 else report.traces[trace].file


def _draw_shares(sheet: Sheet, rows: Sequence[Bar]) -> str:
    """Bars; a narrow sheet has room for their numbers alone."""
    shown = rows if sheet.is_wide else [replace(row, words=row.words.split(" · ")[0]) for row in rows]
    return bars(sheet, rows=shown, write=percent)


def _devices(report: GapsReport, idents: Idents) -> Iterator[Part]:
    """How each device spends its time, where there are several."""
    if len(report.devices) < 2:
        return
    rows = []
    for device in report.devices[:_MOST_DEVICES]:
        if device.idle_share is None:
            continue
        copies = device.copy_only_share or 0.0
        busy = max(1.0 - device.idle_share - copies, 0.0)
        name = device.name if len(report.traces) == 1 else f"{device.name}, {_name(report, device.trace)}"
        parts = [
            ("computes", busy, "c-main"),
            ("only copies", copies, "c-rest"),
            ("idles", device.idle_share, "c-wait"),
        ]
        rows.append(Bar(name, parts, f"idle {percent(device.idle_share)}"))
    if rows:
        yield Figure(
            idents.of("time of each device"),
            "What each device does",
            partial(_draw_devices, rows=rows),
            "; ".join(f"{row.name}: {row.words}" for row in rows) + ".",
            legend=[("c-main", "computes", ""), ("c-rest", "only copies", ""), ("c-wait", "idles", "")],
        )


def _draw_devices(sheet: Sheet, rows: Sequence[Bar]) -> str:
    return bars(sheet, rows=rows, write=percent, end=1.0)


def _longest(report: GapsReport, idents: Idents) -> Iterator[Part]:
    """The longest gaps of each device that computes over its window, a lane for each cause."""
    for device in [one for one in report.devices if one.computes][:_MOST_DEVICES]:
        if device.actions:
            yield _lanes(device, report, idents)


def _lanes(device: DeviceGaps, report: GapsReport, idents: Idents) -> Figure:
    explained = not device.why_no_causes
    causes = [one.gap.cause if explained else "" for one in device.actions]
    by_cause = device.gaps.by_cause if device.gaps is not None and explained else {}
    total = sum(by_cause.values())
    lanes = []
    for cause in dict.fromkeys(causes):
        name = cause or "cause not known"
        spans = [
            (
                one.gap.start_s,
                one.gap.ms / 1000,
                f"{name}: {milliseconds(one.gap.ms)}, {one.action or 'nothing known of the host'}",
            )
            for one, its in zip(device.actions, causes, strict=True)
            if its == cause
        ]
        found = next((seconds for key, seconds in by_cause.items() if key == cause), 0.0)
        lanes.append(Lane(name, f"{percent(found / total)} of the idle time" if total else "", spans))
    where = f" of {device.name}" if len(report.devices) > 1 else ""
    where += f", {_name(report, device.trace)}" if len(report.traces) > 1 else ""
    return Figure(
        idents.of(f"gaps{where}"),
        f"The longest gaps{where}",
        partial(draw_lanes, lanes=lanes, start=0.0, end=device.window_seconds),
        f"The {len(device.actions)} longest gaps over {device.window_seconds:.3g} s.",
        "Seconds since the window began.",
        table=Rows(
            ("at, s", "length", "cause", "the host"),
            [
                (
                    f"{one.gap.start_s:.3f}",
                    milliseconds(one.gap.ms),
                    one.gap.cause if explained else "",
                    one.action or "",
                )
                for one in device.actions
            ],
        ),
    )
