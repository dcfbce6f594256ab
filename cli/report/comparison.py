"""The report of a comparison or a gate: what B is, the sides, metrics with their intervals, and what has changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Any, NamedTuple

from pipeprof.cli.command_line import compare_again
from pipeprof.cli.report.blocks import Block, Chart, Code, Column, Heading, Interval, Pairs, Span, Table, Text
from pipeprof.cli.report.metric import change_of, clause_of, facts_of, is_worse_when_higher, short_clause_of
from pipeprof.profiles.judge.messages import CHANGED
from pipeprof.profiles.judge.metrics import kind_of
from pipeprof.profiles.judge.result import Arm, Metric, PairValues, Result, SelfTest, Side, StageChange
from pipeprof.profiles.judge.verdict import (
    counted,
    ending_of,
    has_interval,
    is_interrupted,
    is_lacking,
    main_metric,
    what_it_is,
)
from pipeprof.profiles.wording import listed, percent, place_of, ratio_text, significant, size

_COLORS = {"passed": "green", "faster": "green", "failed": "red", "slower": "red", "no verdict": "red"}
_COLORS |= dict.fromkeys(("inconclusive", "cannot tell", "interrupted"), "yellow")
_OF_B = ("faster", "slower", "not faster", "not slower")
_UNSURE = ("no difference", "cannot tell")
_STATUS = {"same": "", "only a": "only in A", "only b": "only in B"}
_GROWN = 1.1
"""Times the CPU time of a stage on the other side, from which it has changed."""
_NO_STAGE = 0.01
"""Share of the work below which a stage has not changed by its CPU time alone: one process of each says little."""
MOST_PAIRS = 60
"""More are not worth the wait: half a minute for each."""


class Headline(NamedTuple):
    """The result in one sentence."""

    label: str
    text: str
    color: str


def build_result(result: Result, saved: str | None, *, full: bool = False) -> Iterator[Block]:
    """Build the report; `saved` is the path of the saved result as it is to be shown."""
    headline = headline_of(result)
    yield Text((Span(f"{headline.label}:", f"bold {headline.color}".strip()), Span(f" {headline.text}")), indent=0)
    yield Pairs(list(_conditions(result, full=full)))
    for warning in result.warnings:
        yield Text((Span("Warning: ", "yellow"), Span(warning.message)), indent=0)
    for problem in result.errors:
        if problem.message not in headline.text and not is_interrupted(result):
            yield Text((Span("Error: ", "bold red"), Span(problem.message)), indent=0)
    if result.metrics:
        yield Heading("Metrics")
        yield _table(result, result.rows(), full=full)
    worse = result.worse
    if worse is not None and worse.metrics:
        yield Heading("Metrics with faults", f"{_count(worse.pairs)}, B with {_faults(worse.slower, worse.hold_bytes)}")
        yield _table(result, {"b": worse.metrics}, full=full)
    yield from _stages(result.stages, full=full)
    for name, arm in result.arms().items():
        changes = [*_changes(arm), *(result.budgets if name == "b" else ())]
        if unsaid := [change for change in changes if change not in headline.text]:
            yield Heading("Changes", f"from A to {name.upper()}")
            yield from map(Text, unsaid)
    if full:
        yield from _each_pair(result.rows(), result.pairs)
        yield from _each_pair({"b": worse.metrics}, worse.pairs, ", with faults") if worse is not None else ()
    if saved:
        yield Code(saved, label="Saved", indent=0)
    if (following := next_command(result)) is not None:
        yield Code(following[0], label="Next ", note=following[1], indent=0)


def headline_of(result: Result) -> Headline:
    """The result in one sentence: its first words, ``B is slower``, the rest, and a colour."""
    ending, main = ending_of(result), main_metric(result)
    label, color = f"B is {ending}" if ending in _OF_B else ending.capitalize(), _COLORS.get(ending, "")
    if ending == "passed" and result.unchanged is not None:
        return Headline(label, f"nothing was measured, since {result.unchanged}", color)
    if ending == "no verdict" or main is None:
        return Headline(label, result.errors[0].message if result.errors else "nothing was measured", color)
    if ending == "interrupted":
        return Headline(f"{label} after {_count(result.pairs)}", f"so far {clause_of(main)}", color)
    if result.kind == "self-test" and result.self_test is not None:
        return Headline(f"Self-test {ending}", _of_self_test(result.self_test), color)
    if result.further:
        return Headline("Compared with A", _of_arms(result, main), "")
    if result.kind == "gate":
        judged = [row for level in ("error", "warn") for row in result.metrics if row.level == level]
        decides = {"failed": "regressed", "inconclusive": "cannot tell"}.get(ending)
        clauses = [clause_of(row, limited=True) for row in judged if row.verdict == decides]
        clauses += [short_clause_of(row) for row in judged if row.verdict != decides]
    else:
        clauses = [clause_of(main), *(short_clause_of(row) for row in result.metrics if row.name == "peak_bytes")]
    if ending in {"inconclusive", "cannot tell", "not faster", "not slower"} and (more := _to_settle(result)):
        minutes = math.ceil((result.seconds or 0.0) / len(result.pairs) * more / 60)
        clauses.append(f"{more} more pair{'s' * (more > 1)}{f', about {minutes} min,' * (minutes > 0)} would settle it")
    cause = _likely_cause(result) if ending in {"failed", "slower", "faster"} else ""
    return Headline(label, f"{'; '.join(clauses)}{cause}", color)


def _of_arms(result: Result, main: Metric) -> str:
    """All pipelines by the main metric, the best one first."""
    found = [(name, row) for name, rows in result.rows().items() for row in rows if row.name == main.name]
    found.sort(key=lambda one: (one[1].change or 0.0) * (1 if is_worse_when_higher(main) else -1))
    each = [
        f"{name.upper()} {change_of(facts_of(row))}{f', {what_it_is(row)}' * bool(row.pairs)}" for name, row in found
    ]
    return f"{main.title} of {'; '.join(each)}"


def _of_self_test(found: SelfTest) -> str:
    faults = _faults(found.slower, found.hold_bytes)
    if found.passed:
        return f"the gate passes the pipeline as it is, and fails it with {faults}"
    said = {
        "fails the pipeline as it is": found.alarms,
        "cannot decide on the pipeline as it is": found.undecided,
        f"passes the pipeline with {faults}": found.missed,
        f"cannot decide on the pipeline with {faults}": found.worse_undecided,
    }
    titles = {what: [kind.title for name in names if (kind := kind_of(name))] for what, names in said.items()}
    return f"the gate {listed([f'{what} ({listed(names)})' for what, names in titles.items() if names])}"


def _faults(slower: float, held: int) -> str:
    return f"steps {percent(slower)} longer and {size(held)} more memory"


def _likely_cause(result: Result) -> str:
    """The change that is likely the cause, which is the only one, or one of a few; empty if unknown."""
    changes = _changes(result)
    one_of = f"one of {len(changes)} changes, the first is " if len(changes) > 1 else ""
    return f". Likely cause: {one_of}{changes[0]}" if changes else ""


def _changes(arm: Result | Arm) -> list[str]:
    """What differs from A, each with its line in B."""
    places = zip_longest(arm.changes, arm.change_places)
    return [f"{change} ({place_of(place)})" if place is not None else change for change, place in places]


def _to_settle(result: Result) -> int:
    """How many more pairs would decide all that is judged; 0 where it is decided, or nothing says so."""
    rows = [row for rows in result.rows().values() for row in rows if row.level != "off"]
    return max((row.more_pairs or 0 for row in rows), default=0) if result.pairs else 0


def _conditions(result: Result, *, full: bool) -> Iterator[tuple[str, str]]:
    yield "A", _side(result.a)
    yield "B", _side(result.b)
    yield from ((arm.name.upper(), _side(arm.side)) for arm in result.further)
    if result.step and result.step != "none":
        yield "step", result.step
    if result.pairs:
        how = "in turns" if result.order == "turns" else "one after the other"
        left_out = len(result.pairs) - len(counted(result.pairs))
        note = f"; {left_out} left out, while other virtual machines had the CPU" if left_out else ""
        yield "measured", f"{_count(result.pairs)} of fresh processes, {how}{note}"
    yield from (("data", arm.data) for arm in result.arms().values() if arm.data)
    # A change that was found says more than what such a session finds.
    sizes = {row.name: row.resolution for row in result.metrics if row.level != "off" and row.words in _UNSURE}
    if full and (found := _finds(sizes)):
        yield "finds", found


def _finds(sizes: Mapping[str, float | None]) -> str:
    """What 99 of 100 sessions find; empty for nothing."""
    kinds = [(kind, size) for name, size in sizes.items() if (kind := kind_of(name)) and kind.scale == "ratio" and size]
    return f"changes of {', '.join(f'{kind.title} from {percent(size)}' for kind, size in kinds)}" if kinds else ""


def _side(side: Side) -> str:
    text = side.text + "".join(f" --set {one}" for one in (side.target.overrides if side.target is not None else ()))
    notes = [f"commit {side.ref[:10]}"] if side.ref else []
    notes += ["with uncommitted changes"] if side.dirty else []
    notes += ["a saved profile, one process"] if side.saved else []
    return ", ".join([text, *notes])


def _count(pairs: Sequence[PairValues]) -> str:
    count = len(counted(pairs))
    return f"{count} pair{'s' if count > 1 else ''}"


def _table(result: Result, rows: Mapping[str, Sequence[Metric]], *, full: bool) -> Table:
    """A row for each metric; of several pipelines for each metric of each, and in short of two metrics alone."""
    main, several = main_metric(result), len(rows) > 1
    brief = {main.name if main is not None else "step_ms", "peak_bytes"}
    shown = [
        (arm, row)
        for name in dict.fromkeys(row.name for row in rows["b"] if full or not several or row.name in brief)
        for arm, metrics in rows.items()
        for row in metrics
        if row.name == name and not is_lacking(row)
    ]
    facts = [facts_of(row) for _, row in shown]

    def column(label: str, title: str, *, right: bool = False, wrap: bool = False, keep: int | None = None) -> Column:
        return Column(title, [one[label] for one in facts], right=right, wrap=wrap, keep=keep)

    so_far = " so far" if is_interrupted(result) else ""
    return Table(
        [
            column("metric", "", wrap=True),
            Column("", [arm.upper() if several else "" for arm, _ in shown], right=False),
            column("A", "A", right=True, keep=4),
            column("B", "value" if several else "B", right=True, keep=5),
            column("change", "/ A" if several else "B / A"),
            column("98 % interval", "98 % interval", keep=3),
            column("B is", f"{'is' if several else 'B is'}{so_far}", wrap=True),
            *([column("limit", "limit", keep=1), column("verdict", "verdict")] if result.kind != "compare" else []),
        ]
    )


def _stages(stages: Sequence[StageChange], *, full: bool) -> Iterator[Block]:
    shown = [stage for stage in stages if full or _has_changed(stage)]
    cpu = [[stage.a_cpu_ms_per_batch for stage in shown], [stage.b_cpu_ms_per_batch for stage in shown]]
    if shown:
        a, b = ([significant(value) if value is not None else "" for value in side] for side in cpu)
        yield Heading("Stages" if full else "Stages that changed", "CPU per batch, of one process each")
        yield Table(
            [
                Column("", [stage.name for stage in shown], right=False, wrap=True),
                Column("A ms", a),
                Column("B ms", b),
                Column("", [_STATUS.get(stage.status, stage.status) for stage in shown], right=False),
                Column("where", [place_of(stage.b or stage.a) or "" for stage in shown], right=False, keep=1),
            ]
        )


def _has_changed(stage: StageChange) -> bool:
    a, b = stage.a_cpu_ms_per_batch or 0.0, stage.b_cpu_ms_per_batch or 0.0
    works = max(stage.a_share or 0.0, stage.b_share or 0.0) >= _NO_STAGE
    return stage.status != "same" or (works and max(a, b) > _GROWN * min(a, b))


def _each_pair(found: Mapping[str, Sequence[Metric]], pairs: Sequence[PairValues], note: str = "") -> Iterator[Block]:
    """The ratios in each pair, drawn and as numbers; those with another smallest change have a band of their own."""
    rows = [
        (row, f"{row.title}, {name.upper()}" if len(found) > 1 else row.title, _ratios(row, name, pairs))
        for name, metrics in found.items()
        for row in metrics
        if row.scale == "ratio" and row.limit is None and row.change
    ]
    for floor, of_floor in groupby(sorted(rows, key=lambda one: one[0].floor), key=lambda one: one[0].floor):
        drawn = []
        for row, title, ratios in of_floor:
            low, high = (row.low, row.high) if has_interval(row) else (None, None)
            dots = [one for one, pair in zip(ratios, pairs, strict=True) if one and pair.counts]
            drawn.append(Interval(title, row.change, low, high, change_of(facts_of(row)), dots))
        title = f"B / A{note}; a change of less than {percent(floor)} does not count"
        said = "A dot is a pair of processes, the line the interval (98 %), the band what does not count."
        band, ends = (1 / (1 + floor), 1 + floor), ("less than A", "more than A")
        yield Chart("intervals", title, said, rows=drawn, floor=band, ends=ends)
    if pairs:
        judged = [(title, ratios) for row, title, ratios in rows if row.level != "off"]
        yield Heading("Pairs", f"B / A in each{note}")
        yield Table(
            [
                *(Column(title, [ratio_text(one) if one else "" for one in ratios]) for title, ratios in judged),
                Column("", ["" if pair.counts else "left out" for pair in pairs], right=False),
            ]
        )


def _ratios(metric: Metric, arm: str, pairs: Sequence[PairValues]) -> list[float | None]:
    """B over the mean of both processes of A in each pair; None where one lacks the metric."""
    found: list[float | None] = []
    for pair in pairs:
        sides = pair.a, pair.again or pair.a, pair.b if arm == "b" else pair.further.get(arm, {})
        a, again, other = (values.get(metric.name, 0.0) for values in sides)
        found.append(math.sqrt(other / a * (other / again)) if min(a, again, other) > 0 else None)
    return found


def next_command(result: Result) -> tuple[str, str] | None:
    """The command to type next and what it is for; None where there is nothing to add."""
    for holds, name, changes, purpose in _what_next(result):
        if holds and (line := compare_again(result.command, name, **changes)):
            return line, purpose
    return None


def _what_next(result: Result) -> Iterator[tuple[bool, str, Mapping[str, Any], str]]:
    """When a command is of use, its name where it is another one, its other options, and what it is for."""
    ending, a, b = ending_of(result), result.a, result.b
    failure = next((problem.message for problem in result.errors if problem.code == "side-failed"), "")
    side, more = result.side(failure[:1].lower()), _to_settle(result)
    needed = len(counted(result.pairs)) + more
    regressed = result.kind == "gate" and ending == "failed"
    settles = more > 0 and needed <= MOST_PAIRS and not failure and not regressed and result.kind != "self-test"
    yield failure.endswith(CHANGED), "", {}, "measures the files as they are now"
    yield failure != "" and side.ref is None, "run", {"target": side.text}, "shows why"
    yield ending == "passed" and result.unchanged is not None, "", {"measure": True}, "measures anyway"
    yield regressed and len(result.changes) == 1, "", {"measure": False}, "once the likely cause is undone"
    sides = {"a": a.text, "others": [b.text]}
    yield regressed and b.ref is None, "compare", sides, "shows the stages that changed"
    # So many pairs may not fit into the time that this session had.
    pairs = {"max_pairs" if result.kind == "gate" else "pairs": str(needed), "max_time": None}
    yield settles, "", pairs, "would settle it"
