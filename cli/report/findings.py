"""Report: what was found, each with its numbers and its fix, under a heading that says whether it was tried."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeprof.cli.text.blocks import Blank, Block, Code, Heading, Prose, Span
from pipeprof.profiles.advise.advise import HEADSPACE_SHARE
from pipeprof.profiles.wording import percent, place_of, significant, size, stage_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.advise.rule import Semantics
    from pipeprof.profiles.document.findings import Finding, Predicted
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

SEMANTICS: dict[Semantics, str] = {
    "same": "the same elements in the same order",
    "order": "the same elements in another order",
    "randomness": "other random draws, or another random order, from the same distribution",
    "values": "perhaps other values: only you can say whether that is right",
}
"""What a fix leaves of the data, by semantics class."""


_SECTIONS = (
    ("kept", "Recommended", "tried, and better by more than the noise"),
    ("ceiling", "Proven causes", "no edit is known; the part was replaced and the time was gone"),
    ("unverified", "Suspected, not tried", ""),
    ("rejected", "Tried and rejected", "no gain, or other data than before"),
)
_INDENT = 5
_LABEL = 9
_STATEMENTS = re.compile(r"; (?=options\.|dataset = )")
"""Where a line of Python that sets an option may be broken."""


def render_findings(profile: Profile) -> Iterator[Block]:
    """The findings by status, in their order in the profile and numbered throughout."""
    if profile.findings is None:
        return
    if not profile.findings:
        yield from _render_none(profile)
        return
    yield from render_list(profile.findings, profile.stages or [])


def render_list(findings: Sequence[Finding], stages: Sequence[Stage]) -> Iterator[Block]:
    """The findings by status.

    Args:
        findings: In the order in which they are shown.
        stages: To name the findings' stages.
    """
    named = {stage.id: stage_label(stage) for stage in stages}
    number = 0
    for status, title, note in _SECTIONS:
        members = [finding for finding in findings if finding.status == status]
        if not members:
            continue
        yield Heading(title, note or _reasons(members))
        for finding in members:
            number += 1
            if finding is not members[0]:
                yield Blank()
            yield from _render_one(finding, number, named, own_reason=bool(note) or len(_reason_set(members)) > 1)


def _render_none(profile: Profile) -> Iterator[Block]:
    if not profile.complete or profile.exit_code or profile.steps is None:
        return
    headspace = profile.verdict.headspace_share if profile.verdict else None
    if headspace is not None and headspace < HEADSPACE_SHARE.value:
        yield Heading(
            "Nothing to recommend",
            f"an infinitely fast pipeline would save {percent(headspace)} of the time, and no rule found anything else",
        )
    elif headspace is not None and profile.steps.dispatch is None:
        yield Heading("No finding", "no rule says how it could be faster; without a step nobody knows if it must be")
    elif headspace is not None:
        yield Heading("No finding", f"a faster pipeline could save {percent(headspace)} of the time; no rule says how")
    else:
        yield Heading("No finding", "no rule applies to what was measured")


def _reason_set(findings: Sequence[Finding]) -> set[str]:
    return {finding.reason or "" for finding in findings}


def _reasons(findings: Sequence[Finding]) -> str:
    """The reason that all share, which then stands once."""
    reasons = _reason_set(findings)
    return reasons.pop() if len(reasons) == 1 else ""


def build_finding(profile: Profile, number: int) -> Iterator[Block]:
    """Build one finding in full.

    Args:
        profile: The profile.
        number: Of the finding, from 1 on.
    """
    named = {stage.id: stage_label(stage) for stage in profile.stages or ()}
    yield from _render_one((profile.findings or [])[number - 1], number, named, own_reason=True)


def _render_one(finding: Finding, number: int, named: dict[str, str], *, own_reason: bool) -> Iterator[Block]:
    yield Prose((Span(f"{number:>3}. "), Span(finding.title, "bold")), indent=0, hang=_INDENT)
    place = _place(finding, named)
    if place:
        yield Prose(place, indent=_INDENT, style="dim")
    if finding.sentence:
        yield Prose(finding.sentence, indent=_INDENT)
    if finding.recommendation:
        yield from _labelled("Fix", finding.recommendation)
    yield from _code("YAML", finding.patch)
    yield from _code("Python", finding.python)
    if finding.semantics:
        yield from _labelled("Data", SEMANTICS[finding.semantics])
    if finding.predicted is not None:
        yield from _labelled("Predicted", _predicted(finding.predicted))
    if finding.measured:
        yield from _labelled("Measured", measured_words(finding.measured))
    if own_reason and finding.reason:
        yield from _labelled("Because", finding.reason)
    yield from _labelled("More", f"pipeprof explain {finding.rule}")


def _place(finding: Finding, named: dict[str, str]) -> str:
    label = named.get(finding.stage, finding.stage) if finding.stage else ""
    place = place_of(finding.location) or ""
    return label if place in label else f"{label}, {place}".removeprefix(", ")


def _labelled(label: str, text: str) -> Iterator[Block]:
    """A word, and beside it a paragraph that stays right of the word."""
    yield Prose((Span(label.ljust(_LABEL + 1), "dim"), Span(text)), indent=_INDENT, hang=_LABEL + 1)


def _code(label: str, text: str | None) -> Iterator[Block]:
    """Code as it stands, a statement a line."""
    lines = [line for line in _STATEMENTS.sub("\n", text or "").splitlines() if line.strip()]
    if lines:
        yield Code("\n".join(lines), indent=_INDENT, label=label, wrap=True)


def _predicted(predicted: Predicted) -> str:
    effects = []
    if predicted.speedup is not None:
        effects.append(f"{significant(predicted.speedup)} times the steps per second")
    if predicted.peak_rss_delta_bytes is not None:
        effects.append(_peak(predicted.peak_rss_delta_bytes))
    what = ", ".join(effects)
    return f"{what}: {predicted.formula}" if what and predicted.formula else what or predicted.formula or "not known"


def measured_words(measured: dict[str, Any]) -> str:
    """A measured effect: the speed-up with its interval, and what it does to the peak.

    Example:
        >>> measured_words({"speedup": 1.43, "low": 1.38, "high": 1.49, "peak_rss_delta_bytes": -1048576})
        '1.43 times the steps per second (95 % interval 1.38 to 1.49), 1.00 MiB less at the peak'
    """
    parts = []
    if measured.get("speedup") is not None:
        text = f"{significant(measured['speedup'])} times the steps per second"
        low, high = measured.get("low"), measured.get("high")
        if low is not None and high is not None:
            text += f" (95 % interval {significant(low)} to {significant(high)})"
        parts.append(text)
    if measured.get("peak_rss_delta_bytes") is not None:
        parts.append(_peak(measured["peak_rss_delta_bytes"]))
    return ", ".join(parts)


def _peak(delta: int) -> str:
    if delta == 0:
        return "the same peak of memory"
    return f"{size(abs(delta))} {'less' if delta < 0 else 'more'} at the peak"
