"""The rules as a table, and one rule in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeprof.cli.report.finding import SEMANTICS
from pipeprof.cli.text.blocks import Blank, Block, Code, Heading, Prose, TextSpan
from pipeprof.profiles.advise.rule import Rule, Threshold

_SEMANTICS_WIDTH = 10
_GATE_WORDS = {
    "wait-share": "the device waits at least {}",
    "headspace-share": "a pipeline that costs nothing would save at least {}",
}


def list_rules(rules: Sequence[Rule], gate: Sequence[Threshold]) -> Iterator[Block]:
    """Build one line a rule, family by family; `gate` has the thresholds of the family `speed` as a whole."""
    width = max((len(rule.name) for rule in rules), default=0)
    for family, note in (
        ("speed", gate_words(gate)),
        ("memory", "whatever the speed"),
        ("correctness", "whatever the speed"),
    ):
        members = [rule for rule in rules if rule.family == family]
        if not members:
            continue
        yield Heading(family.capitalize(), note)
        yield from _rows(members, width)
    yield Blank()
    yield Prose("semantics: what the fix may change in the data", indent=0, style="dim")
    yield Prose("pipeprof explain RULE: why it matters, how to fix it, when to ignore it", indent=0, style="dim")


def _rows(members: Sequence[Rule], width: int) -> Iterator[Block]:
    """A line for each rule; a title that does not fit into the line goes on below itself."""
    lead = width + 2 + _SEMANTICS_WIDTH + 2
    head = f"{'rule'.ljust(width)}  {'semantics'.ljust(_SEMANTICS_WIDTH)}  what to do"
    yield Prose(head, hang=lead, style="dim")
    for rule in members:
        yield Prose(f"{rule.name.ljust(width)}  {rule.semantics.ljust(_SEMANTICS_WIDTH)}  {rule.title}", hang=lead)


def describe_rule(rule: Rule, gate: Sequence[Threshold]) -> Iterator[Block]:
    """Describe one rule in full: what is seen, why it costs, fix, when to ignore it, thresholds with their sources."""
    yield Prose((TextSpan(rule.name, "bold"), TextSpan(f": {rule.title}")), indent=0)
    for title, text in (
        ("What is seen", rule.seen),
        ("Why it matters", rule.why),
        ("Fix", rule.fix),
        ("Ignore when", rule.ignore_when),
    ):
        yield Heading(title)
        yield from (Prose(paragraph) for paragraph in text.split("\n\n"))
    yield Heading("Effect on the data", f"{rule.semantics}: {SEMANTICS[rule.semantics]}")
    if not rule.reports_untried:
        yield Heading("Reported", ONLY_TRIED)
    elif rule.in_training:
        yield Heading("Reported", IN_TRAINING)
    elif rule.pays_in_step:
        yield Heading("Reported", IN_STEP)
    elif rule.family == "speed":
        yield Heading("Reported", gate_words(gate))
    if rule.thresholds:
        yield Heading("Thresholds")
        for threshold in rule.thresholds:
            yield Prose(f"{threshold.name}  {bars_words(threshold)}: {threshold.source}", hang=2)
        if any(threshold.to_try is not None for threshold in rule.thresholds):
            yield Prose(_TWO_BARS, style="dim")
    yield Heading("In a spec", "to leave it out, with your reason")
    yield Code(f"ignore:\n  - rule: {rule.name}\n    reason: why it does not apply here")


def gate_words(gate: Sequence[Threshold]) -> str:
    """State when findings on speed are reported."""
    marks = [
        _GATE_WORDS.get(threshold.name, f"{threshold.name} is at least {{}}").format(value_words(threshold))
        for threshold in gate
    ]
    return f"only after a run, if {' and '.join(marks)}"


IN_TRAINING = "only after a run of a training script, at what it cost there"
IN_STEP = "only after a run, however little the device waits: the gain is in the step"
ONLY_TRIED = "only if run tried it and it helps"
_TWO_BARS = (
    "To try: from this value on, run measures the edit; it is reported only if it helps, or if the upper bound of "
    "its stage shows the cause."
)


def bars_words(threshold: Threshold) -> str:
    """Both values of a threshold.

    Example:
        >>> from pipeprof.profiles.advise.rule import Threshold
        >>> bars_words(Threshold("a", 0.5, "of the step", "", 0.2)), bars_words(Threshold("b", 8, "", ""))
        ('50 % of the step (to try: 20 %)', '8')
    """
    text, wide = value_words(threshold), bar_to_try(threshold)
    return f"{text} (to try: {wide})" if wide else text


def bar_to_try(threshold: Threshold) -> str:
    """The value from which an edit is tried, without its unit; empty where it is the one that is reported."""
    if threshold.to_try is None:
        return ""
    return value_words(replace(threshold, to_report=threshold.to_try)).removesuffix(threshold.unit).strip()


def value_words(threshold: Threshold) -> str:
    """A threshold's value with its unit, shares as a percentage.

    Example:
        >>> from pipeprof.profiles.advise.rule import Threshold
        >>> value_words(Threshold("a", 100e6, "bytes", "")), value_words(Threshold("b", 8.0, "", ""))
        ('100 MB', '8')
    """
    value, unit = threshold.to_report, threshold.unit
    if unit in {"B", "bytes"} and value >= 1e6:
        return f"{value / 1e6:g} MB"
    if unit.startswith("of ") or unit == "share":
        return f"{value * 100:g} % {unit.removeprefix('share')}".strip()
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"
    return f"{number} {unit}".strip()
