"""The rules as a table, and one rule in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pipeprof.cli.render.page import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.cli.render.style import Style
    from pipeprof.profiles.advise.rule import Rule, Semantics, Threshold

SEMANTICS: dict[Semantics, str] = {
    "same": "the same elements in the same order",
    "order": "the same elements in another order",
    "randomness": "other random draws, or another random order, from the same distribution",
    "values": "perhaps other values: only you can say whether that is right",
}
"""What a fix leaves of the data, by semantics class."""

_SEMANTICS_WIDTH = 10
_LEAST_TITLE = 24
_GATE_WORDS = {
    "wait-share": "the device waits at least {}",
    "headspace-share": "a pipeline that costs nothing would save at least {}",
}


def render_rules(rules: Sequence[Rule], gate: Sequence[Threshold], style: Style) -> str:
    """One line a rule, family by family.

    Args:
        rules: In the order in which they are listed.
        gate: Thresholds of the family `speed` as a whole.
        style: Width, colour and characters.

    Returns:
        Lines that end with a newline.
    """
    page = Page(style)
    width = max((len(rule.name) for rule in rules), default=0)
    for family, note in (
        ("speed", gate_words(gate)),
        ("memory", "whatever the speed"),
        ("correctness", "whatever the speed"),
    ):
        members = [rule for rule in rules if rule.family == family]
        if not members:
            continue
        page.heading(family.capitalize(), note)
        _rows(page, members, width)
    page.blank()
    page.prose("semantics: what the fix may change of the data", indent=0, style="dim")
    page.prose("pipeprof explain RULE: why, what to do, when not to mind, thresholds", indent=0, style="dim")
    return page.render()


def _rows(page: Page, members: Sequence[Rule], width: int) -> None:
    """A line for each rule; where a title does not fit beside the rest it goes on below itself."""
    lead = width + 2 + _SEMANTICS_WIDTH + 2
    if page.style.width - lead < _LEAST_TITLE:
        lead = 2
    head = f"{'rule'.ljust(width)}  {'semantics'.ljust(_SEMANTICS_WIDTH)}  what is wrong"
    page.prose(head, hang=lead, style="dim")
    for rule in members:
        page.prose(f"{rule.name.ljust(width)}  {rule.semantics.ljust(_SEMANTICS_WIDTH)}  {rule.title}", hang=lead)


def render_rule(rule: Rule, gate: Sequence[Threshold], style: Style) -> str:
    """One rule in full: what is seen, why it costs, the fix, when to ignore it, thresholds with their sources.

    Args:
        rule: The rule.
        gate: Thresholds of the family `speed` as a whole.
        style: Width, colour and characters.

    Returns:
        Lines that end with a newline.
    """
    page = Page(style)
    page.prose(Text().append(page.clean(rule.name), style="bold").append(f": {page.clean(rule.title)}"), indent=0)
    for title, text in (
        ("What is seen", rule.seen),
        ("Why it matters", rule.why),
        ("Fix", rule.fix),
        ("Ignore when", rule.ignore_when),
    ):
        page.heading(title)
        _paragraphs(page, text)
    page.heading("What the fix leaves of the data", f"{rule.semantics}: {SEMANTICS[rule.semantics]}")
    if rule.family == "speed":
        page.heading("Heard", gate_words(gate))
    if rule.thresholds:
        page.heading("Thresholds")
        for threshold in rule.thresholds:
            page.prose(f"{threshold.name}  {value_words(threshold)}: {threshold.source}", hang=2)
    page.heading("In a spec", "to leave it out, with your reason")
    page.verbatim(f"ignore:\n  - rule: {rule.name}\n    reason: why not here")
    return page.render()


def gate_words(gate: Sequence[Threshold]) -> str:
    """When findings on speed are heard, in words."""
    marks = [_GATE_WORDS.get(one.name, f"{one.name} is at least {{}}").format(value_words(one)) for one in gate]
    return f"once it is measured, only where {' and '.join(marks)}"


def value_words(threshold: Threshold) -> str:
    """A threshold's value with its unit, shares as a percentage.

    Example:
        >>> from pipeprof.profiles.advise.rule import Threshold
        >>> value_words(Threshold("a", 100e6, "bytes", "")), value_words(Threshold("b", 8.0, "", ""))
        ('100 MB', '8')
    """
    value, unit = threshold.value, threshold.unit
    if unit in {"B", "bytes"} and value >= 1e6:
        return f"{value / 1e6:g} MB"
    if unit.startswith("of ") or unit == "share":
        return f"{value * 100:g} % {unit.removeprefix('share')}".strip()
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"
    return f"{number} {unit}".strip()


def _paragraphs(page: Page, text: str) -> None:
    """Prose by paragraphs: rules write theirs over several lines of source."""
    for paragraph in text.strip().split("\n\n"):
        page.prose(" ".join(paragraph.split()))
