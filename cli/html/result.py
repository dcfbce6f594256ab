"""The page of a comparison or a gate: each metric against its limit, and what the difference is made of."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pipeprof.cli.charts.areas import Bar, bars
from pipeprof.cli.charts.intervals import Strip, draw_intervals
from pipeprof.cli.html.blocks import markup_of
from pipeprof.cli.html.parts import (
    Facts,
    Figure,
    Fold,
    Headline,
    Idents,
    Note,
    Page,
    Part,
    Rows,
    Section,
    Shown,
    Snippet,
)
from pipeprof.cli.html.run import json_of
from pipeprof.cli.report.blocks import Block, Command, Heading, KeyValue
from pipeprof.cli.report.units import seconds
from pipeprof.profiles.document.store import encode
from pipeprof.profiles.judge.clauses import (
    both_values,
    change_text,
    describe_change,
    describe_interval,
    describe_medians,
    has_interval,
    stage_status,
    value_text,
    values_text,
    with_places,
)
from pipeprof.profiles.judge.verdicts.gating import counted
from pipeprof.profiles.judge.words import headline, is_interrupted, main_metric, what_it_is
from pipeprof.profiles.wording import percent, place_of, ratio_text, significant

if TYPE_CHECKING:
    from pipeprof.cli.charts.svg import Sheet
    from pipeprof.profiles.judge.verdicts.result import Metric, Result, Side, StageChange

_TONES = {"red": "bad", "green": "good", "yellow": "unclear"}
_GATE = {"regressed": ("FAILED", "bad"), "not regressed": ("passed", "good"), "cannot tell": ("CANNOT TELL", "unclear")}
_WORDS = {"slower": "bad", "more": "bad", "faster": "good", "less": "good", "cannot tell": "unclear"}
_MOST_CHANGES = 3
"""Differences of two specs that the headline names."""
_GROWN = 1.1
"""Times the CPU time of a stage in A, from which the headline names it."""


def result_page(
    result: Result, saved: str | None, blocks: Sequence[Block] = (), following: tuple[str, str] | None = None
) -> Page:
    """The page of a result.

    Args:
        saved: Path of the saved result as it is to be shown.
        blocks: The complete report in text.
        following: The next command, and what it does.
    """
    idents = Idents()
    label, rest, color = headline(result)
    factor, interval = _factor(result)
    sections = [
        Section(idents.of("metrics"), "Metrics", [*_messages(result), *_strips(result, idents)], _conditions(result)),
        Section(idents.of("pairs"), "Pairs", list(_pairs(result, idents))),
        Section(idents.of("stages"), "Stages", list(_stages(result, idents))),
        Section(idents.of("differences"), "Differences", list(_differences(result))),
        Section(idents.of("next"), "Next", list(_next(following, idents))),
        Section(idents.of("numbers"), "All numbers", [*report_in_folds(blocks, idents), *_json(result, idents)]),
    ]
    return Page(
        result.kind,
        _subject(result),
        result.tool.version,
        Headline(_TONES.get(color, ""), label, rest, factor, interval, list(_details(result))),
        [section for section in sections if section.parts],
        list(_facts(result, saved)),
        shlex.join(result.command),
    )


def _subject(result: Result) -> str:
    if result.a.text == result.b.text:
        return result.a.text
    others = [result.b, *(arm.side for arm in result.further)]
    return f"{result.a.text} → {', '.join(side.text for side in others)}"


def _facts(result: Result, saved: str | None) -> Iterator[str]:
    if result.started:
        yield result.started[:16].replace("T", " ") + " UTC"
    if result.seconds:
        yield f"took {seconds(result.seconds)}"
    if saved:
        yield f"saved as {saved}"


def _factor(result: Result) -> tuple[str, str]:
    """The number that decides: of a gate the worst failing metric, else the one that says which is faster."""
    main = main_metric(result)
    if result.further:
        return "", ""
    if result.kind == "gate":
        judged = [metric for metric in result.metrics if metric.level == "error" and metric.verdict == result.verdict]
        main = next((metric for metric in judged if metric.change is not None), main)
    if main is None or main.change is None:
        return "", ""
    words = f"{main.title}{f', {describe_interval(main)}' if describe_interval(main) else ''}"
    return describe_change(main), words


def _details(result: Result) -> Iterator[tuple[str, str]]:
    """What has changed, so that the cause is in sight, then the sides."""
    if (difference := _difference(result)) is not None:
        yield difference
    yield "A", _side(result.a)
    yield "B", _side(result.b)
    for arm in result.further:
        yield arm.name.upper(), _side(arm.side)
    if result.data:
        yield "data", result.data


def _difference(result: Result) -> tuple[str, str] | None:
    """What differs, and the stage that takes more."""
    stages = [
        stage
        for stage in result.stages
        if (stage.b_cpu_ms_per_batch or 0.0) > _GROWN * (stage.a_cpu_ms_per_batch or 0.0)
    ]
    words = []
    if stages:
        most_grown = max(
            stages, key=lambda stage: (stage.b_cpu_ms_per_batch or 0.0) - (stage.a_cpu_ms_per_batch or 0.0)
        )
        words.append(_grown(most_grown))
    if 0 < len(result.changes) <= _MOST_CHANGES:
        words += with_places(result)
    elif result.changes:
        words.append(f"{len(result.changes)} differences of the files")
    return ("differs", "; ".join(words)) if words else None


def _growth(stage: StageChange) -> float:
    return (stage.b_cpu_ms_per_batch or 0.0) - (stage.a_cpu_ms_per_batch or 0.0)


def _grown(stage: StageChange) -> str:
    place = place_of(stage.b or stage.a)
    before = f"{significant(stage.a_cpu_ms_per_batch)} → " if stage.a_cpu_ms_per_batch else ""
    after = significant(stage.b_cpu_ms_per_batch or 0.0)
    return f"{stage.name} takes {before}{after} ms of CPU per batch{f' ({place})' if place else ''}"


def _side(side: Side) -> str:
    parts = [side.text]
    if side.ref:
        parts.append(f"commit {side.ref[:10]}")
    if side.dirty:
        parts.append("work tree with uncommitted changes")
    if side.saved:
        parts.append("saved profile, one process")
    return " · ".join(parts)


def _conditions(result: Result) -> str:
    if not result.pairs:
        return "one process each, measured earlier: no interval"
    count = len(counted(result.pairs))
    how = "in turns" if result.order == "turns" else "one after the other"
    return f"{count} pair{'' if count == 1 else 's'} of fresh processes, {how}"


def _messages(result: Result) -> Iterator[Part]:
    first = headline(result)[1]
    for problem in result.errors:
        if problem.message not in first and not is_interrupted(result):
            yield Note(f"Failed: {problem.message}", "bad")
    for warning in result.warnings:
        yield Note(f"Warning: {warning.message}", "unclear")


def _strips(result: Result, idents: Idents) -> Iterator[Figure]:
    """A strip for each metric: its interval against the floor, or against its limit; of several pipelines, for each."""
    if result.further:
        yield from _arms(result, idents)
        return
    known = [metric for metric in result.metrics if metric.change is not None]
    ratios = [metric for metric in known if metric.scale == "ratio" and (metric.change or 0.0) > 0]
    ratios.sort(key=lambda metric: metric.level == "off")
    if ratios:
        against = "its limit" if result.kind == "gate" else "the smallest change that counts"
        yield _strip(result, ratios, idents, f"Each metric against {against}{', so far' * is_interrupted(result)}")
    for metric in known:
        if metric.scale == "difference" and (metric.a or metric.b):
            yield _strip(result, [metric], idents, metric.title)


def _arms(result: Result, idents: Idents) -> Iterator[Figure]:
    """Every pipeline against A, by the metric that says which is faster and by memory."""
    main = main_metric(result)
    for name in dict.fromkeys((main.name if main is not None else "step_ms", "peak_bytes")):
        found = {arm: next((row for row in rows if row.name == name), None) for arm, rows in result.rows().items()}
        metrics = {arm: row for arm, row in found.items() if row is not None and (row.change or 0.0) > 0}
        if metrics:
            names = [arm.upper() for arm in metrics]
            yield _strip(result, list(metrics.values()), idents, f"{next(iter(metrics.values())).title} over A", names)


def _strip(result: Result, metrics: Sequence[Metric], idents: Idents, title: str, names: Sequence[str] = ()) -> Figure:
    """A strip for each of these metrics, by their titles or by other names."""
    ratio = metrics[0].scale == "ratio"
    titles = names or [metric.title for metric in metrics]
    rows = [_row(result, metric, name) for metric, name in zip(metrics, titles, strict=True)]
    said = "; ".join(f"{row.name}: {row.verdict} {row.words}" for row in rows)
    caption = (
        "B / A with its 98 % interval. Grey: changes that are too small to count."
        if ratio
        else "B minus A with its 98 % interval. Grey: changes that are too small to count."
    )
    return Figure(
        idents.of(title),
        title,
        partial(
            draw_intervals,
            rows=rows,
            reference=1.0 if ratio else 0.0,
            logarithmic=ratio,
            write=(lambda value: f"{value:g}×") if ratio else partial(change_text, metrics[0]),
            names=("less", "more"),
        ),
        f"{said}.",
        " ".join(filter(None, (caption, describe_medians(metrics)))),
        table=Rows(
            (
                "pipeline" if names else "metric",
                "A",
                "value" if names else "B",
                "change",
                "98 % interval",
                "limit",
                "verdict",
            ),
            [
                (
                    row.name,
                    *values_text(metric, metric.a, metric.b),
                    describe_change(metric),
                    describe_interval(metric),
                    _limit(metric),
                    row.verdict,
                )
                for metric, row in zip(metrics, rows, strict=True)
            ],
        ),
    )


def _limit(metric: Metric) -> str:
    if metric.limit is not None:
        return f"at most {value_text(metric, metric.limit)}"
    return f"± {percent(metric.floor) if metric.scale == 'ratio' else change_text(metric, metric.floor)}"


def _row(result: Result, metric: Metric, name: str) -> Strip:
    if result.kind == "gate" and metric.level != "off":
        verdict, class_ = _GATE[metric.verdict]
        if metric.verdict == "regressed" and metric.level == "warn":
            verdict, class_ = "WARNING", "unclear"
    else:
        verdict = what_it_is(metric) if metric.pairs else ""
        class_ = _WORDS.get(verdict, "")
    floor, known = metric.floor, has_interval(metric)
    band = (1 / (1 + floor), 1 + floor) if metric.scale == "ratio" else (-floor, floor)
    if metric.limit is not None:
        band = (min((metric.low if known else None) or 1.0, metric.change or 1.0, 1.0), 1.0)
        values = f"{value_text(metric, metric.b)} of at most {value_text(metric, metric.limit)}"
    else:
        values = f"{both_values(metric)}, {describe_change(metric)}"
    return Strip(
        name,
        metric.change,
        metric.low if known else None,
        metric.high if known else None,
        words=values,
        verdict=verdict,
        class_=class_,
        faint=metric.level == "off" and result.kind == "gate",
        floor=band if floor or metric.limit is not None else None,
    )


def _pairs(result: Result, idents: Idents) -> Iterator[Figure]:
    """Every pair of the metric that decides: B over A, and A over itself."""
    main = main_metric(result)
    if main is None or main.limit is not None:
        return
    b = [pair.b[main.name] / pair.a[main.name] for pair in counted(result.pairs) if _both(pair.a, pair.b, main.name)]
    again = [
        pair.again[main.name] / pair.a[main.name]
        for pair in counted(result.pairs)
        if pair.again is not None and _both(pair.a, pair.again, main.name)
    ]
    if not b:
        return
    interval = describe_interval(main)
    ends = (main.low, main.high) if has_interval(main) else (None, None)
    words = f"{describe_change(main)} ({interval})" if interval else describe_change(main)
    rows = [Strip("B over A", main.change, *ends, b, words)]
    if again:
        middle = math.exp(sum(map(math.log, again)) / len(again))
        rows.append(Strip("A over A, the noise", middle, dots=again, words=f"{ratio_text(middle)}", faint=True))
    yield Figure(
        idents.of("pairs as dots"),
        f"Pairs of {main.title}",
        partial(
            draw_intervals,
            rows=rows,
            reference=1.0,
            floor=(1 / (1 + main.floor), 1 + main.floor),
            write=lambda value: f"{value:g}×",
            names=("less", "more"),
        ),
        f"B over A in {len(b)} pairs: from {ratio_text(min(b))} to {ratio_text(max(b))}.",
        f"One dot a pair. Grey: the floor of {percent(main.floor)}. The second row is another process of A over A.",
        table=Rows(("pair", "B over A"), [(str(number), f"{ratio_text(value)}") for number, value in enumerate(b, 1)]),
    )


def _both(a: dict[str, float], other: dict[str, float], name: str) -> bool:
    return a.get(name, 0.0) > 0 and other.get(name, 0.0) > 0


def _stages(result: Result, idents: Idents) -> Iterator[Figure]:
    """CPU time of the stages that differ, of both sides."""
    shown = [
        stage
        for stage in result.stages
        if (stage.status != "same" or max(stage.a_share or 0.0, stage.b_share or 0.0) >= 0.01)
        and (stage.a_cpu_ms_per_batch is not None or stage.b_cpu_ms_per_batch is not None)
    ][:20]
    rows = []
    for stage in shown:
        place = place_of(stage.b or stage.a)
        changed = f" · {word}" if (word := stage_status(stage)) else ""
        if (before := stage.a_cpu_ms_per_batch) is not None:
            gone = changed if stage.b_cpu_ms_per_batch is None else ""
            rows.append(Bar(f"{stage.name}, A", [("", before, "c-rest")], f"{significant(before)} ms{gone}"))
        if (after := stage.b_cpu_ms_per_batch) is not None:
            name = f"{stage.name}{f' ({place})' if place else ''}, B"
            rows.append(Bar(name, [("", after, "c-main")], f"{significant(after)} ms{changed}"))
    if rows:
        yield Figure(
            idents.of("stages of both sides"),
            "CPU per batch of each stage",
            partial(_draw_ms, rows=rows),
            "; ".join(f"{row.name} {row.words}" for row in rows) + ".",
            "Milliseconds of CPU per batch, of one process each.",
        )


def _draw_ms(sheet: Sheet, rows: Sequence[Bar]) -> str:
    return bars(sheet, rows=rows, write=lambda value: f"{significant(value)} ms")


def _differences(result: Result) -> Iterator[Part]:
    for name, found in result.arms().items():
        if found.changes:
            yield Facts([(f"A to {name.upper()}", change) for change in with_places(found)])


def _next(following: tuple[str, str] | None, idents: Idents) -> Iterator[Part]:
    if following is not None:
        yield Snippet(idents.of("next command"), f"This command {following[1]}", following[0])


def report_in_folds(blocks: Sequence[Block], idents: Idents) -> Iterator[Part]:
    """The report in text, one fold for each of its headings."""
    held: list[Block] = []
    title, rest = "Summary", ""
    for block in [*blocks, Heading("")]:
        if isinstance(block, Heading):
            shown = [one for one in held if not isinstance(one, Command)]
            if any(not isinstance(one, KeyValue) for one in shown) or len(shown) > 2:
                yield Fold(idents.of(f"all {title}"), title, [Shown(markup_of(shown, idents))], rest)
            title, rest, held = block.title, block.rest, []
        else:
            held.append(block)


def _json(result: Result, idents: Idents) -> Iterator[Part]:
    yield from json_of(encode(result).decode(), idents)
