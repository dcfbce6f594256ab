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
from pipeprof.cli.report.blocks import Block
from pipeprof.profiles.document.store import encode
from pipeprof.profiles.gaps.document import DeviceGaps, GapsReport, TraceGaps
from pipeprof.profiles.gaps.names import CAUSES
from pipeprof.profiles.gaps.wording import Subject, counted, during, subjects_of
from pipeprof.profiles.wording import milliseconds, percent

_TONES = {"input": "bad", "cannot say": "unclear", "busy": "good"}
_MOST_DEVICES = 32
"""Devices, or traces, with a bar."""
_MOST_LANES = 8
"""Devices whose longest gaps are drawn."""


def gaps_page(report: GapsReport, blocks: Sequence[Block]) -> Page:
    """The page of all traces of a command.

    Args:
        blocks: The report in text.
    """
    idents = Idents()
    subjects = subjects_of(report)
    traces = [subject.trace for subject in subjects]
    last = traces[-1]
    label, rest = verdict_words(last) if len(traces) < 3 else (counted(traces), ".")
    shares = [percent(trace.idle_share) for trace in traces if trace.idle_share is not None]
    pair = len(traces) == 2
    sections = [
        Section(idents.of("causes"), "Causes", list(_causes(subjects, idents))),
        Section(
            idents.of("what to do"),
            "What to do",
            [Facts([(cause, text.replace("`", "")) for cause, text in advice])]
            if len(traces) < 3 and (advice := advice_of(last, [device for _, device in subjects[-1].devices]))
            else [],
            "derived from the causes; not tried",
        ),
        Section(idents.of("devices"), "Devices", list(_devices(subjects, idents))),
        Section(idents.of("longest gaps"), "Longest gaps", list(_longest(subjects, idents))),
        Section(
            idents.of("numbers"),
            "All numbers",
            [*report_in_folds(blocks, idents), *json_of(encode(report).decode(), idents)],
        ),
    ]
    return Page(
        "gaps",
        " → ".join(trace.file for trace in traces) if len(traces) < 3 else f"{len(traces):,} traces",
        report.tool.version,
        Headline(
            _TONES.get(last.verdict, "") if len(traces) < 3 else "",
            label,
            rest,
            " → ".join(shares) if len(shares) == len(traces) < 3 else "",
            f"of the time idle{', before and after' if pair else ''}",
            [("note", note) for note in last.notes] if len(traces) == 1 else [],
        ),
        [section for section in sections if section.parts],
        [f"{trace.file}: {trace.format}" for trace in traces] if len(traces) > 1 else [last.format],
        shlex.join(report.command),
    )


def _causes(subjects: Sequence[Subject], idents: Idents) -> Iterator[Part]:
    """Shares of all time by cause; of two traces, before and after; of more the largest cause of each."""
    traces = [subject.trace for subject in subjects]
    known = [trace for trace in traces if trace.idle_share is not None and sum(trace.by_cause.values()) > 0]
    if len(traces) > 2:
        known = []
        yield from _idle_shares(traces, idents)
    if not known:
        return
    rows = []
    for cause in CAUSES:
        for trace in known:
            share = share_of_time(trace, cause)
            if share > 0 or (len(known) > 1 and any(share_of_time(one, cause) > 0 for one in known)):
                name = cause if len(known) == 1 else f"{cause}, {_SIDES[traces.index(trace)]}"
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


_SIDES = ("before", "after")


def _idle_shares(traces: Sequence[TraceGaps], idents: Idents) -> Iterator[Part]:
    """How much each of several traces idles, those that idle most first."""
    known = [trace for trace in traces if trace.idle_share is not None]
    known.sort(key=lambda trace: -(trace.idle_share or 0.0))
    rows = []
    for trace in known[:_MOST_DEVICES]:
        share = trace.idle_share or 0.0
        rows.append(Bar(trace.file, [("idle", share, "c-wait")], f"{percent(share)} · {trace.verdict}"))
    if rows:
        yield Figure(
            idents.of("idle time of each trace"),
            "Time without work for the devices",
            partial(_draw_shares, rows=rows),
            "; ".join(f"{row.name}: {row.words}" for row in rows) + ".",
            "Shares of all time.",
            table=Rows(("trace", "idle"), [(row.name, row.words) for row in rows]),
        )


def _draw_shares(sheet: Sheet, rows: Sequence[Bar]) -> str:
    """Bars; a narrow sheet has room for their numbers alone."""
    shown = rows if sheet.is_wide else [replace(row, words=row.words.split(" · ")[0]) for row in rows]
    return bars(sheet, rows=shown, write=percent)


def _devices(subjects: Sequence[Subject], idents: Idents) -> Iterator[Part]:
    """How each device spends its time, where there are several."""
    devices = _all_devices(subjects)
    if len(devices) < 2:
        return
    rows = []
    known = [(name, device) for name, device in devices if device.idle_share is not None]
    for name, device in known[:_MOST_DEVICES]:
        idle, copies = device.idle_share or 0.0, device.copy_only_share or 0.0
        busy = max(1.0 - idle - copies, 0.0)
        parts = [("computes", busy, "c-main"), ("only copies", copies, "c-rest"), ("idles", idle, "c-wait")]
        rows.append(Bar(name, parts, f"idle {percent(idle)}"))
    if rows:
        more = len(devices) - len(rows)
        yield Figure(
            idents.of("time of each device"),
            "What each device does",
            partial(_draw_devices, rows=rows),
            "; ".join(f"{row.name}: {row.words}" for row in rows) + ".",
            f"{more:,} more devices are in the JSON below." if more else "",
            legend=[("c-main", "computes", ""), ("c-rest", "only copies", ""), ("c-wait", "idles", "")],
        )


def _all_devices(subjects: Sequence[Subject]) -> list[tuple[str, DeviceGaps]]:
    """Return all devices, each with its name among all."""
    found = []
    for number, subject in enumerate(subjects):
        side = f", {_SIDES[number]}" if len(subjects) == 2 else f", {subject.trace.file}" if len(subjects) > 2 else ""
        found += [(f"{name}{side}", device) for name, device in subject.devices]
    return found


def _draw_devices(sheet: Sheet, rows: Sequence[Bar]) -> str:
    return bars(sheet, rows=rows, write=percent, end=1.0)


def _longest(subjects: Sequence[Subject], idents: Idents) -> Iterator[Part]:
    """The longest gaps of devices that compute, over the window, a lane for each cause; of many the worst devices."""
    devices = [(name, device) for name, device in _all_devices(subjects) if device.computes and device.actions]
    shown = sorted(devices, key=lambda one: -one[1].actions[0].gap.ms)[:_MOST_LANES]
    for name, device in devices:
        if any(device is other for _, other in shown):
            yield _lanes(device, f" of {name}" if len(devices) > 1 else "", idents)


def _lanes(device: DeviceGaps, where: str, idents: Idents) -> Figure:
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
