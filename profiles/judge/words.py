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
    describe_unchanged,
    describe_values,
    values_text,
)
from pipeprof.profiles.judge.verdicts.gating import counted, has_other_batches
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
from pipeprof.profiles.wording import listed, percent, significant, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.judge.verdicts.result import Metric, PairValues, Result, SelfTest

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
    if result.further:
        return _each(result, main)
    memory = next((metric for metric in result.metrics if metric.name == "peak_bytes"), None)
    rest = f" {sentence_of(main)}"
    if memory is not None:
        same = memory.words == "no difference" and memory.pairs and memory.limit is None
        rest += f"; {describe_unchanged(memory) if same else sentence_of(memory)}"
    if not main.pairs:
        return "One process each, no verdict:", rest, ""
    if main.rules_out is not None:
        return f"B is not {main.rules_out}:", rest, ""
    label, color = _LABELS.get(main.words, ("Cannot tell:", "yellow"))
    return label, rest, color


def _each(result: Result, main: Metric) -> tuple[str, str, str]:
    """What several pipelines are, each compared with A: those that are faster first."""
    rows = {
        name: row
        for name, metrics in result.rows().items()
        for row in metrics
        if row.name == main.name and not row.limit
    }
    if not main.pairs:
        texts = [f"{name.upper()} {describe_change(row)}" for name, row in rows.items()]
        return "One process each, no verdict:", f" {main.title}, compared with A: {', '.join(texts)}", ""
    groups = []
    for words in ("faster", "slower", "no difference", "not faster", "not slower", "cannot tell"):
        of_words = sorted((row.change or 0.0, name) for name, row in rows.items() if what_it_is(row) == words)
        if of_words:
            changes = [(name, describe_change(rows[name]), describe_interval(rows[name])) for _, name in of_words]
            texts = [f"{name.upper()} {text}{f' ({ends})' if ends else ''}" for name, text, ends in changes]
            groups.append((words, texts))
    (first, texts), *others = groups
    color = {"faster": "green", "slower": "red", "cannot tell": "yellow"}.get(first, "")
    compared = "" if first == "cannot tell" else " from A" if first == "no difference" else " than A"
    rest = "".join(f"; {words}: {', '.join(listed)}" for words, listed in others)
    return f"{first.capitalize()}{compared}:", f" {main.title} of {', '.join(texts)}{rest}", color


def what_it_is(metric: Metric) -> str:
    """What B is; where that is unknown, what it is not."""
    return f"not {metric.rules_out}" if metric.rules_out is not None else metric.words


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
