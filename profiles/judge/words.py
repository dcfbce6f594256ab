"""Results in words, the same in every report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from pipeprof.profiles.constants import DISTURBED_FROM
from pipeprof.profiles.document.messages import NOTES, Message
from pipeprof.profiles.judge.clauses import (
    describe_change,
    describe_direction,
    describe_doubt,
    describe_interval,
    describe_likely,
    describe_part,
    describe_unchanged,
    describe_values,
    place_of_change,
    values_text,
    with_places,
)
from pipeprof.profiles.judge.verdicts.gating import counted, has_other_batches
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
from pipeprof.profiles.wording import listed, percent, ratio_text, significant, size, span_text

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.judge.verdicts.result import (
        Cause,
        Explanation,
        Metric,
        PairValues,
        Result,
        SelfTest,
        WhySearch,
    )

_OF_ONE_RUN = frozenset({"disturbed", "not-settled"})
"""Codes of warnings about a measurement of one side alone that a comparison judges itself, by its pairs."""
_LABELS = {
    "slower": ("B is slower:", "red"),
    "faster": ("B is faster:", "green"),
    "no difference": ("No difference:", ""),
}


_GATE = {
    "not regressed": ("Passed:", "green"),
    "regressed": ("Failed:", "red"),
    "cannot tell": ("Inconclusive:", "yellow"),
}


def disturbance_of(pairs: Sequence[PairValues]) -> Message | None:
    """Warn where something else had much of the cores: more pairs help little there."""
    shares = [pair.elsewhere_share for pair in pairs if pair.elsewhere_share is not None]
    if not shares or fmean(shares) < DISTURBED_FROM:
        return None
    text = (
        f"Other processes and other machines took {percent(fmean(shares))} of the cores' time, so pairs may differ by "
        "more than the pipelines do. Measure again on a free machine."
    )
    return Message(code="disturbed", message=text)


def warnings_of(profiles: Mapping[str, Profile]) -> list[Message]:
    """Return what the own runs of the sides warn of, with the names of the sides, each warning once."""
    sides: dict[tuple[str, str], list[str]] = {}
    for name, profile in profiles.items():
        for warning in profile.warnings:
            if warning.code not in NOTES | _OF_ONE_RUN and name not in sides.get((warning.code, warning.message), ()):
                sides.setdefault((warning.code, warning.message), []).append(name)
    return [Message(code=code, message=f"{' and '.join(names)}: {text}") for (code, text), names in sides.items()]


def is_interrupted(result: Result) -> bool:
    """Whether the session had to end before its verdict, with complete pairs."""
    return bool(counted(result.pairs)) and any(problem.code == "interrupted" for problem in result.errors)


def main_metric(result: Result) -> Metric | None:
    """The metric that says which side is faster: per element where batches differ, else per step."""
    by_name = {metric.name: metric for metric in result.metrics}
    others = (result.b, *(arm.side for arm in result.further))
    name = "elements_per_second" if any(has_other_batches(result.a, side) for side in others) else "step_ms"
    return by_name.get(name) or by_name.get("step_ms")


def conclude(result: Result) -> None:
    """Write the verdict of a comparison: that of the metric which says which side is faster."""
    main = main_metric(result)
    if main is not None:
        result.verdict = main.verdict
        for arm in result.further:
            arm.verdict = next((row.verdict for row in arm.metrics if row.name == main.name), "cannot tell")


def headline(result: Result) -> tuple[str, str, str]:
    """The result in one sentence: its first words, the rest, and a colour.

    Example:
        ``B is slower: step interval 10.0 ms → 11.2 ms, 1.12× (1.10–1.14); peak memory 572 MiB → 572 MiB, …``
    """
    main = main_metric(result)
    if not result.errors and result.unchanged is not None:
        return "Passed:", f" nothing was measured, since {result.unchanged}", "green"
    if result.errors and (main is None or result.exit_code):
        return _without_verdict(result, main)
    if main is None:
        return "No verdict", ": nothing was measured", "red"
    if result.kind == "self-test" and result.self_test is not None:
        return _self_test(result.self_test)
    return _judged(result, main)


def _without_verdict(result: Result, main: Metric | None) -> tuple[str, str, str]:
    if main is None or not is_interrupted(result):
        return "No verdict", f": {result.errors[0].message}", "red"
    count = len(counted(result.pairs))
    return f"Interrupted after {count} pair{'s' if count > 1 else ''}:", f" so far {sentence_of(main)}", "yellow"


def _judged(result: Result, main: Metric) -> tuple[str, str, str]:
    if result.kind == "gate":
        label, color = _GATE[result.verdict]
        return label, f" {_ending(result)}", color
    if result.further or result.scan is not None:
        return _each(result, main)
    memory = next((metric for metric in result.metrics if metric.name == "peak_bytes"), None)
    rest = f" {sentence_of(main)}"
    if memory is not None:
        same = memory.words == "no difference" and memory.pairs and memory.limit is None
        rest += f"; {describe_unchanged(memory) if same else sentence_of(memory)}"
    if (cause := _main_cause(result, main)) is not None:
        factor, reason = cause
        return f"B is {factor}:", f" {reason}; {rest.lstrip()}", _LABELS[main.words][1]
    if not main.pairs:
        return "One process each, no verdict:", rest, ""
    if main.rules_out is not None:
        return f"B is not {main.rules_out}:", rest, ""
    label, color = _LABELS.get(main.words, ("Cannot tell:", "yellow"))
    return label, rest, color


def _main_cause(result: Result, main: Metric) -> tuple[str, str] | None:
    """By what factor B is slower or faster, and the part of the difference that makes most of it (`--why`)."""
    causes = [
        cause for cause in result.why or () if cause.metric in {main.name, "step_ms"} and cause.words == main.words
    ]
    first = max(causes, key=lambda cause: cause.share or 0.0, default=None)
    if first is None or first.share is None or not main.change or main.words not in _LABELS:
        return None
    parts = [describe_part(change, place_of_change(result, change)) for change in first.changes]
    factor = main.change if main.change > 1 else 1 / main.change
    made = " with ".join(parts) if first.kind == "together" else " and ".join(parts)
    return f"{ratio_text(factor)} {main.words}", f"{percent(first.share)} of it is {made}"


def _each(result: Result, main: Metric) -> tuple[str, str, str]:
    """What several pipelines are, each compared with A: those that are faster first."""
    rows = {
        name: row
        for name, metrics in result.rows().items()
        for row in metrics
        if row.name == main.name and not row.limit
    }
    if not main.pairs:
        texts = [f"{arm_name(result, name)} {describe_change(row)}" for name, row in rows.items()]
        return "One process each, no verdict:", f" {main.title}, compared with A: {', '.join(texts)}", ""
    groups = []
    for words in ("faster", "slower", "no difference", "not faster", "not slower", "cannot tell"):
        of_words = sorted((row.change or 0.0, name) for name, row in rows.items() if what_it_is(row) == words)
        if of_words:
            changes = [(name, describe_change(rows[name]), describe_interval(rows[name])) for _, name in of_words]
            texts = [f"{arm_name(result, name)} {text}{f' ({ends})' if ends else ''}" for name, text, ends in changes]
            groups.append((words, texts))
    (first, texts), *others = groups
    color = {"faster": "green", "slower": "red", "cannot tell": "yellow"}.get(first, "")
    compared = "" if first == "cannot tell" else " from A" if first == "no difference" else " than A"
    rest = "".join(f"; {words}: {', '.join(listed)}" for words, listed in others)
    return f"{first.capitalize()}{compared}:", f" {main.title} of {', '.join(texts)}{rest}", color


def what_it_is(metric: Metric) -> str:
    """What B is; where that is unknown, what it is not."""
    return f"not {metric.rules_out}" if metric.rules_out is not None else metric.words


def arm_name(result: Result, name: str) -> str:
    """A pipeline as it is called in the report: its letter, and the value that was scanned."""
    letter = name.upper()
    return f"{letter} ({result.scan.values[ord(name) - ord('a')]})" if result.scan is not None else letter


def _self_test(found: SelfTest) -> tuple[str, str, str]:
    faults = describe_faults(found.slower, found.hold_bytes)
    if found.passed:
        return "The gate works:", f" it passes the pipeline, and fails it with {faults}", "green"
    wrong = [f"it failed the unchanged pipeline ({_titles(found.alarms)})"] if found.alarms else []
    wrong += [f"with {faults}, it passed it for {_titles(found.missed)}"] if found.missed else []
    if not wrong:
        doubts = []
        if found.undecided:
            doubts.append(f"whether the unchanged pipeline has regressed ({_titles(found.undecided)})")
        if found.worse_undecided:
            doubts.append(f"whether it has with {faults} ({_titles(found.worse_undecided)})")
        return "The gate is inconclusive here:", f" it cannot tell {' and '.join(doubts)}", "yellow"
    return "The gate does not work here:", f" {'; '.join(wrong)}", "red"


def describe_faults(slower: float, held: int) -> str:
    """What a self-test changes in a pipeline."""
    return f"steps {percent(slower)} longer and {size(held)} more memory"


def _titles(names: Sequence[str]) -> str:
    """Metrics by their titles; a stage's by the name that its budget has."""
    return listed([BY_NAME[name].title if name in BY_NAME else name for name in names])


def describe_receipt(found: SelfTest) -> str:
    """A self-test in one line, for the reports of later gates."""
    changes = ", ".join(
        f"{BY_NAME[name].title} {percent(value) if BY_NAME[name].scale == 'ratio' else significant(value)}"
        for name, value in found.detectable.items()
        if name in BY_NAME
    )
    outcome = "passed" if found.passed else "failed" if found.alarms or found.missed else "inconclusive"
    return f"{outcome} {found.started[:10]}; it finds changes from: {changes}"


def _ending(result: Result) -> str:
    """What has regressed, with limit and likely cause; else what cannot be decided, else all that was judged."""
    judged = [metric for metric in result.metrics if metric.level != "off"]
    errors = [metric for metric in judged if metric.level == "error"] or judged
    count = len(counted(result.pairs))
    pairs = "1 pair" if count == 1 else f"{count} pairs"
    if result.verdict == "cannot tell":
        open_ = [metric for metric in errors if metric.verdict == "cannot tell"] or errors
        known = [describe_unchanged(metric) for metric in errors if metric not in open_]
        return "; ".join([*map(_doubt, open_), *([", ".join(known)] if known else []), pairs])
    failed = [metric for metric in errors if metric.verdict == "regressed"]
    others = [describe_unchanged(metric) for metric in errors if metric.verdict != "regressed"]
    text = f"{', '.join([*map(describe_direction, failed), *others])}; {pairs}"
    likely = describe_likely(result) if failed else ""
    return f"{text}. {likely}" if likely else text


def sentence_of(metric: Metric) -> str:
    """A metric's values, its change with the interval, and what would settle it."""
    if metric.limit is not None:
        of = " of at most ".join(values_text(metric, metric.b, metric.limit))
        return f"{metric.title} {of}, {describe_change(metric)} ({describe_interval(metric)})"
    return f"{metric.title} {describe_values(metric)}{_reservations(metric)}"


def _doubt(metric: Metric) -> str:
    """What a gate cannot decide about a metric, with its limit and what would settle it."""
    return sentence_of(metric) if metric.limit is not None else f"{describe_doubt(metric)}{_reservations(metric)}"


def _reservations(metric: Metric) -> str:
    """What follows the values of a metric: what would settle it."""
    if metric.disturbed:
        return "; processes of A itself differ by more than the floor"
    if "cannot tell" in {metric.words, metric.verdict} and metric.more_pairs is not None:
        return f", {metric.more_pairs} more pair{'s' if metric.more_pairs > 1 else ''} would settle it"
    return ""


def describe_rounds(search: WhySearch) -> str:
    """How the parts of a difference were measured, for a heading of the search for causes."""
    rounds = len({one.number for one in search.rounds})
    if rounds:
        many = "1 round" if rounds == 1 else f"{rounds} rounds"
        return f"parts of the difference, measured against A in {many} of fresh processes"
    if len(search.changes) == 1:
        return "the difference has one part: the pairs have measured it"
    return "no part of the difference was measured alone"


def describe_explanation(found: Explanation) -> str:
    """What B is in the rounds of the search for causes.

    Example:
        ``step interval, B / A 1.52× (1.50–1.54): slower``
    """
    title = BY_NAME[found.metric].title
    if found.disturbed:
        return f"{title}: processes of A itself differ by more than the floor, so no cause is named"
    if found.change is None:
        return f"{title}: not measured"
    return f"{title}, B / A {_factor(found.change, found.low, found.high)}: {found.words}"


def describe_cause(cause: Cause, result: Result) -> str:
    """A part of the difference and what it does.

    Example:
        ``spec.yaml:8 stages.map.num_parallel_calls: 4 → 1 · 1.49× (1.46–1.52), slower, 98 % of the change``
    """
    parts = with_places(result, cause.changes)
    if cause.change is None:
        return f"{parts} · {cause.words}: {cause.reason or 'not measured'}"
    text = f"{parts} · {_factor(cause.change, cause.low, cause.high)}"
    text += ", no difference above the floor" if cause.words == "no difference" else f", {cause.words}"
    if cause.share is not None and cause.words not in {"no difference", "cannot tell"}:
        text += f", {percent(cause.share)} of the change"
    if cause.kind == "together":
        alone = listed([ratio_text(value) for value in cause.alone])
        text += f"; they act together: each alone {alone}" if alone else "; they act together"
    if cause.kind == "rest":
        text += "; what the others leave"
    return f"{text} ({cause.reason})" if cause.reason else text


def describe_rest(found: Explanation) -> str | None:
    """Whether the causes explain all of the change; None where that is no question."""
    if found.rest is None or found.disturbed:
        return None
    left = _factor(found.rest, found.rest_low, found.rest_high)
    if found.rest_words == "no difference":
        return f"Together they explain the change; the rest, {left}, is within the noise."
    if found.rest_words == "cannot tell":
        return f"What is left of the change, {left}, may be noise or a further cause."
    return f"They do not explain all of the change: {left} is left."


def _factor(change: float, low: float | None, high: float | None) -> str:
    interval = f" ({span_text(low, high)})" if low is not None and high is not None else ""
    return f"{ratio_text(change)}{interval}"
