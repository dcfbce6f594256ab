"""The report of a comparison: what B is, both sides, metrics with their intervals, and the stages that changed."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from pipeprof.cli.options import duration
from pipeprof.cli.report.blocks import Blank, Block, Column, Command, Heading, KeyValue, Legend, Prose, Table, TextSpan
from pipeprof.profiles.judge.clauses import (
    CHANGED,
    argument_of,
    change_text,
    describe_change,
    describe_interval,
    describe_medians,
    describe_part,
    is_lacking,
    placed_changes,
    stage_status,
    value_text,
    values_text,
    with_places,
)
from pipeprof.profiles.judge.verdicts.gating import counted
from pipeprof.profiles.judge.verdicts.result import Metric, PairValues, Result, Side, StageChange
from pipeprof.profiles.judge.words import (
    describe_faults,
    describe_receipt,
    headline,
    is_interrupted,
    main_metric,
    what_it_is,
)
from pipeprof.profiles.wording import percent, place_of, significant

_PAIRS = {"compare": "--pairs", "gate": "--max-pairs"}
_OF_THIS_GATE = frozenset({"--against", "--out", "--format", "--max-pairs"})
_SWITCHES = frozenset({"--json", "--force"})
_SPARE = 1.2
"""Times the seconds that the pairs need: the sides are started as well."""
MOST_PAIRS = 60
"""More are not worth the wait: half a minute for each."""


def next_command(result: Result) -> tuple[str, str] | None:
    """The command and what it is for; None where there is nothing to add."""
    failed = next((problem for problem in result.errors if problem.code == "side-failed"), None)
    if failed is not None:
        return _after_side(result, failed.message)
    if result.unchanged is not None and result.command:
        return shlex.join([*result.command, "--measure"]), "measures anyway"
    if not result.metrics or not result.pairs or result.kind not in _PAIRS:
        return None
    return _after_pairs(result)


def _after_side(result: Result, message: str) -> tuple[str, str] | None:
    """The same command where a side's file has changed meanwhile; else the run of the side that failed."""
    if message.endswith(CHANGED):
        return (shlex.join(result.command), "measures the files as they are now") if result.command else None
    side = result.side(message[0].lower())
    return (f"pipeprof run {shlex.quote(side.text)}", "shows why") if side.ref is None else None


def _after_pairs(result: Result) -> tuple[str, str] | None:
    if result.kind == "gate" and result.verdict == "regressed":
        return _after_failure(result)
    rows = [metric for metrics in result.rows().values() for metric in metrics]
    more = [metric.more_pairs for metric in rows if metric.level != "off" and metric.more_pairs]
    needed = len(counted(result.pairs)) + max(more, default=0)
    if more and needed <= MOST_PAIRS and result.command:
        return _longer(result, needed)
    return None


def _after_failure(result: Result) -> tuple[str, str] | None:
    """What mends a failed gate: the change that is the cause, taken back, or the command that shows the stages."""
    if len(result.changes) == 1 and result.command:
        return shlex.join(_without(result.command, (), _SWITCHES)), f"once {_taken_back(result)}"
    if result.b.ref is not None:
        return None
    budgets = {word.partition("=")[0] for word in result.command if word.startswith("--max-")}
    of_gate = _OF_THIS_GATE | (budgets - {"--max-time"})
    kept = [word for word in _without(result.command[2:], of_gate, _SWITCHES) if word != result.b.text]
    words = ["pipeprof", "compare", result.a.text, result.b.text, *kept]
    return shlex.join(words), "shows the stages"


def _taken_back(result: Result) -> str:
    """State that the only change between the specs is no longer made."""
    change, place = placed_changes(result)[0]
    path, _, what = change.partition(": ")
    where = f" in {place_of(place)}" if place is not None else ""
    before = what.partition(" → ")[0]
    if " → " in what and before != "not set":
        return f"{argument_of(path)} is {before} again{where}"
    if what == "removed":
        return f"{path.removeprefix('stages.')} is back"
    return f"“{describe_part(change, None)}” is undone{where}"


def _longer(result: Result, needed: int) -> tuple[str, str]:
    """The same command with room for so many pairs: more of what has ended the session."""
    disturbed = any(warning.code == "disturbed" for warning in result.warnings)
    purpose = "would settle it, once nothing else uses the cores" if disturbed else "would settle it"
    flag, words = _PAIRS[result.kind], list(result.command)
    over = any(warning.code == "time-over" for warning in result.warnings)
    limit = duration("--max-time", _value_of(words, "--max-time"))
    if over and limit is not None:
        more = _SPARE * limit * needed / max(len(result.pairs), 1)
        words = [*_without(words, {"--max-time"}), "--max-time", str(10 * math.ceil(more / 10))]
        most = _value_of(words, flag)
        if most is None or not most.isdecimal() or int(most) >= needed:
            return shlex.join(words), purpose
    return _with_option(words, flag, str(needed)), purpose


def _value_of(command: Sequence[str], flag: str) -> str | None:
    """The last value of an option in a command; None without it.

    Example:
        >>> _value_of(["gate", "a.yaml", "--max-time=250"], "--max-time")
        '250'
    """
    found = None
    for word, following in pairwise([*command, ""]):
        name, equals, value = word.partition("=")
        if name == flag:
            found = value if equals else following
    return found


def self_test_command(result: Result) -> str:
    """The command that tries the gate on its target, with the step and the arguments of this one.

    Example:
        >>> from pipeprof.profiles.document.subject import Tool
        >>> from pipeprof.profiles.judge.verdicts.result import Result, Side
        >>> words = ["pipeprof", "gate", "a.yaml", "--against", "git:main", "--step", "simulate:9ms", "--json"]
        >>> sides = {"a": Side(text="git:main"), "b": Side(text="a.yaml")}
        >>> self_test_command(Result(kind="gate", tool=Tool(version="1"), command=words, **sides))
        'pipeprof gate a.yaml --step simulate:9ms --self-test'
    """
    if result.command[1:2] != ["gate"]:
        return f"pipeprof gate {shlex.quote(result.b.text)} --self-test"
    return shlex.join([*_without(result.command, _OF_THIS_GATE, _SWITCHES), "--self-test"])


def _with_option(command: Sequence[str], flag: str, value: str) -> str:
    """A command with another value of an option.

    Example:
        >>> _with_option(["pipeprof", "gate", "a.yaml", "--max-pairs", "5"], "--max-pairs", "9")
        'pipeprof gate a.yaml --max-pairs 9'
    """
    return shlex.join([*_without(command, {flag}), flag, value])


def _without(command: Sequence[str], options: Collection[str], switches: Collection[str] = frozenset()) -> list[str]:
    """A command without options that have a value, and without switches that have none."""
    words, skip = [], False
    for word in command:
        if skip or word.partition("=")[0] in options:
            skip = word in options and not skip
            continue
        if word not in switches:
            words.append(word)
    return words


_KEY = 6
_NO_STAGE = 0.01
"""Share of the work below which a stage that is the same on both sides has no row."""


def build_result(result: Result, saved: str | None, *, verbose: bool = False) -> Iterator[Block]:
    """Build the report."""
    label, rest, color = headline(result)
    yield Prose((TextSpan(label, f"bold {color}".strip()), TextSpan(rest)), indent=0)
    yield from _sides(result)
    for warning in result.warnings:
        yield Prose((TextSpan("Warning: ", "yellow"), TextSpan(warning.message)), indent=0)
    for problem in result.errors:
        if problem.message not in rest and not is_interrupted(result):
            yield Prose((TextSpan("Failed: ", "bold red"), TextSpan(problem.message)), indent=0)
    if result.further:
        yield from build_arms(result, verbose=verbose)
    else:
        yield from _measured(result)
    yield from _stages(result.stages, verbose=verbose)
    yield from _changes(result)
    if verbose:
        yield from _pairs(result.metrics, result.pairs)
        if result.worse is not None:
            yield from _pairs(result.worse.metrics, result.worse.pairs, ", with faults in B")
    if result.self_test is not None:
        yield KeyValue("Self-test", describe_receipt(result.self_test), width=11)
    elif result.kind == "gate" and result.unchanged is None:
        yield KeyValue("Self-test", f"never run: {self_test_command(result)} shows what this gate can find", width=11)
    if saved:
        yield Blank()
        yield Command("Saved", saved, width=_KEY)
    if (following := next_command(result)) is not None:
        yield Command("Next", following[0], width=_KEY, note=following[1])


def _sides(result: Result) -> Iterator[Block]:
    yield from _side("A", result.a)
    yield from _side("B", result.b)
    for arm in result.further:
        yield from _side(arm.name.upper(), arm.side)


def _changes(result: Result) -> Iterator[Block]:
    """What differs between specs, or between the files of functions."""
    for name, found in result.arms().items():
        changes = [*with_places(found), *(result.budgets if name == "b" else ())]
        if changes:
            yield Heading("Changes", f"from A to {name.upper()}")
            for change in changes:
                yield Prose(change, hang=2)


def build_arms(result: Result, *, verbose: bool) -> Iterator[Block]:
    """Build the one table of several pipelines, each compared with A."""
    rows = result.rows()
    main = main_metric(result)
    shown = (main.name if main else "step_ms", "peak_bytes")
    known = {name: {row.name: row for row in metrics if row.limit is None} for name, metrics in rows.items()}
    yield Heading("Pipelines", _conditions(result))
    columns = [Column("", ["A", *(name.upper() for name in rows)], right=False)]
    # Of the second metric a narrow screen keeps the values longest, which have its name.
    for metric, keep, of_interval in zip(shown, ((None, None, None), (7, 6, 5)), (4, 2), strict=True):
        of_metric = [known[name].get(metric) for name in rows]
        first = next((row for row in of_metric if row is not None), None)
        if first is None:
            continue
        values = [value_text(first, first.a), *(value_text(row, row.b) if row else "" for row in of_metric)]
        columns += [
            Column(first.title, values, keep=keep[0]),
            Column("/ A", ["", *(describe_change(row) if row else "" for row in of_metric)], right=False, keep=keep[1]),
            Column(
                "98 %",
                ["", *(describe_interval(row) if row else "" for row in of_metric)],
                right=False,
                keep=of_interval,
            ),
            Column(
                f"is{' so far' * is_interrupted(result)}",
                ["", *(what_it_is(row) if row and row.pairs else "" for row in of_metric)],
                right=False,
                keep=keep[2],
                shrink_to=11,
            ),
        ]
    yield Table(columns)
    if main is not None and main.pairs:
        least = _size(main, main.floor)
        yield Legend([("", f"Each is compared with A in the same pairs; floor {least}; corrected by Holm.")])
        yield from _resolution(result.metrics)
    texts = [text for text in (result.data, *(arm.data for arm in result.further)) if text]
    other = [text for text in texts if not text.startswith("A and ")]
    for text in other or [text.replace("A and B give", "All give") for text in texts[:1]]:
        yield KeyValue("data", text, indent=2, width=_KEY)
    for name, metrics in rows.items() if verbose else ():
        yield Heading("Metrics", f"{name.upper()} compared with A")
        yield _metrics(metrics, name.upper())


def _measured(result: Result) -> Iterator[Block]:
    """All metrics; those of a self-test without and with faults."""
    if result.metrics:
        yield Heading("Metrics", _conditions(result))
        yield _metrics(result.metrics, so_far=is_interrupted(result))
        yield from _resolution(result.metrics)
        if medians := describe_medians(result.metrics):
            yield Legend([("", medians)])
        if len(counted(result.pairs)) < len(result.pairs):
            yield Legend([("", "Left out: pairs during which other virtual machines took much of the CPU.")])
    worse = result.worse
    if worse is not None and worse.metrics:
        faults = describe_faults(worse.slower, worse.hold_bytes)
        yield Heading("Metrics with faults", f"{_count(worse.pairs)}, B with {faults}")
        yield _metrics(worse.metrics)
    if result.data:
        yield KeyValue("data", result.data, indent=2, width=_KEY)


def _side(name: str, side: Side) -> Iterator[Block]:
    text = side.text + "".join(f" --set {one}" for one in (side.target.overrides if side.target is not None else ()))
    notes = []
    if side.ref:
        notes.append(f"commit {side.ref[:10]}")
    if side.dirty:
        notes.append("work tree with uncommitted changes")
    if side.saved:
        notes.append("saved profile, one process")
    yield KeyValue(name, " · ".join([text, *notes]), width=_KEY)


def _conditions(result: Result) -> str:
    if not result.pairs:
        return "one process each, measured earlier: no interval"
    how = "in turns" if result.order == "turns" else "one after the other"
    step = f" · step {result.step}" if result.step and result.step != "none" else ""
    left_out = len(result.pairs) - len(counted(result.pairs))
    note = f" · {left_out} left out" if left_out else ""
    return f"{_count(result.pairs)} of fresh processes, {how}{step}{note}"


def _count(pairs: Sequence[PairValues]) -> str:
    count = len(counted(pairs))
    return f"{count} pair{'s' if count > 1 else ''}"


def _metrics(metrics: Sequence[Metric], name: str = "B", *, so_far: bool = False) -> Table:
    metrics = [metric for metric in metrics if not is_lacking(metric)]
    values = [values_text(metric, metric.a, metric.b) for metric in metrics]
    return Table(
        [
            Column("", [_title(metric) for metric in metrics], right=False, shrink_to=11),
            Column("A", [a for a, _ in values], keep=4),
            Column(name, [b for _, b in values], keep=5),
            Column(f"{name} / A", [describe_change(metric) for metric in metrics], right=False),
            Column("98 % interval", [describe_interval(metric) for metric in metrics], right=False, keep=2),
            Column(
                f"{name} is{' so far' * so_far}",
                [_words(metric) if metric.pairs else "" for metric in metrics],
                right=False,
                shrink_to=11,
            ),
        ]
    )


def _title(metric: Metric) -> str:
    return metric.title if metric.limit is None else f"{metric.title}, at most {value_text(metric, metric.limit)}"


def _words(metric: Metric) -> str:
    return f"no difference > {_size(metric, metric.floor)}" if metric.words == "no difference" else what_it_is(metric)


def _size(metric: Metric, change: float | None) -> str:
    """A size of changes, as the floor is one: a share of a ratio, else in the metric's unit."""
    return percent(change or 0.0) if metric.scale == "ratio" else change_text(metric, change)


def _resolution(metrics: Sequence[Metric]) -> Iterator[Block]:
    """What the session could have found, from processes of the same pipeline, but where it has found less than that."""
    known = [
        metric
        for metric in metrics
        if metric.resolution is not None
        and metric.level != "off"
        and not (metric.words not in {"no difference", "cannot tell"} and metric.resolution > _distance(metric))
    ]
    if known:
        each = ", ".join(f"{metric.title} {_size(metric, metric.resolution)}" for metric in known)
        yield Legend([("", f"Resolution, from two processes of A in each pair: {each}")])


def _distance(metric: Metric) -> float:
    """How far the change is from none."""
    return abs((metric.change or 0.0) - (metric.scale == "ratio"))


def _stages(stages: Sequence[StageChange], *, verbose: bool) -> Iterator[Block]:
    shown = [
        stage
        for stage in stages
        if verbose or stage.status != "same" or max(stage.a_share or 0.0, stage.b_share or 0.0) >= _NO_STAGE
    ]
    if not shown:
        return
    yield Heading("Stages", "CPU per batch and share of the work, of one process each")
    yield Table(
        [
            Column("stage", [stage.name for stage in shown], right=False, shrink_to=12),
            Column("A ms", [_ms(stage.a_cpu_ms_per_batch) for stage in shown]),
            Column("share", [_share(stage.a_share) for stage in shown], keep=2),
            Column("B ms", [_ms(stage.b_cpu_ms_per_batch) for stage in shown]),
            Column("share", [_share(stage.b_share) for stage in shown], keep=2),
            Column("", [stage_status(stage) for stage in shown], right=False),
            Column("where", [place_of(stage.b or stage.a) or "" for stage in shown], right=False, keep=1, style="dim"),
        ]
    )


def _ms(value: float | None) -> str:
    return significant(value) if value is not None else ""


def _share(value: float | None) -> str:
    return percent(value) if value is not None else ""


def _pairs(metrics: Sequence[Metric], pairs: Sequence[PairValues], note: str = "") -> Iterator[Block]:
    for metric in metrics:
        if metric.level == "off" or metric.limit is not None:
            continue
        yield Heading("Pairs", f"{metric.title}{note}")
        cells = [
            [value_text(metric, values.get(metric.name)) for values in (pair.a, pair.b, pair.again or {})]
            for pair in pairs
        ]
        left_out = ["" if pair.counts else "left out" for pair in pairs]
        yield Table(
            [
                Column("pair", [str(number + 1) for number in range(len(cells))]),
                *(Column(title, [row[at] for row in cells]) for at, title in enumerate(("A", "B", "A′"))),
                *([Column("", left_out, right=False)] if any(left_out) else []),
            ]
        )
