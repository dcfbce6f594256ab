"""Report: what was found, each with its numbers and its fix, under a heading that says whether it was tried."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.text import Text

from pipeprof.cli.render.rules import SEMANTICS
from pipeprof.profiles.advise.advise import HEADSPACE_SHARE
from pipeprof.profiles.wording import percent, significant, size, stage_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeprof.cli.render.page import Page
    from pipeprof.profiles.document.findings import Finding, Predicted
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

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
_REMARK = re.compile(r" {2,}# [^\"']*$")


def render_findings(page: Page, profile: Profile) -> None:
    """The findings by status, in their order in the profile and numbered throughout."""
    if profile.findings is None:
        return
    if not profile.findings:
        _render_none(page, profile)
        return
    render_list(page, profile.findings, profile.stages or [])


def render_list(page: Page, findings: Sequence[Finding], stages: Sequence[Stage]) -> None:
    """The findings by status.

    Args:
        page: Where to.
        findings: In the order in which they are shown.
        stages: To name the findings' stages.
    """
    named = {stage.id: stage_words(stage) for stage in stages}
    number = 0
    for status, title, note in _SECTIONS:
        members = [finding for finding in findings if finding.status == status]
        if not members:
            continue
        page.heading(title, note or _reasons(members))
        for finding in members:
            number += 1
            if finding is not members[0]:
                page.blank()
            _render_one(page, finding, number, named, own_reason=bool(note) or len(_reason_set(members)) > 1)


def _render_none(page: Page, profile: Profile) -> None:
    if not profile.complete or profile.exit_code or profile.steps is None:
        return
    headspace = profile.verdict.headspace_share if profile.verdict else None
    if headspace is not None and headspace < HEADSPACE_SHARE.value:
        page.heading(
            "Nothing to recommend",
            f"an infinitely fast pipeline would save {percent(headspace)} of the time, and no rule found anything else",
        )
    elif headspace is not None and profile.steps.dispatch is None:
        page.heading("No finding", "no rule says how it could be faster; without a step nobody knows if it must be")
    elif headspace is not None:
        page.heading("No finding", f"a faster pipeline could save {percent(headspace)} of the time; no rule says how")
    else:
        page.heading("No finding", "no rule applies to what was measured")


def _reason_set(findings: Sequence[Finding]) -> set[str]:
    return {finding.reason or "" for finding in findings}


def _reasons(findings: Sequence[Finding]) -> str:
    """The reason that all share, which then stands once."""
    reasons = _reason_set(findings)
    return reasons.pop() if len(reasons) == 1 else ""


def _render_one(page: Page, finding: Finding, number: int, named: dict[str, str], *, own_reason: bool) -> None:
    head = Text().append(f"{number:>3}. ").append(page.clean(finding.title), style="bold")
    page.prose(head, indent=0, hang=_INDENT)
    place = _place(finding, named)
    if place:
        page.prose(place, indent=_INDENT, style="dim")
    if finding.sentence:
        page.prose(finding.sentence, indent=_INDENT)
    if finding.recommendation:
        _labelled(page, "Fix", finding.recommendation)
    _code(page, "YAML", finding.patch)
    _code(page, "Python", finding.python)
    if finding.semantics:
        _labelled(page, "Data", SEMANTICS[finding.semantics])
    if finding.predicted is not None:
        _labelled(page, "Predicted", _predicted(finding.predicted))
    if finding.measured:
        _labelled(page, "Measured", measured_words(finding.measured))
    if own_reason and finding.reason:
        _labelled(page, "Because", finding.reason)
    _labelled(page, "More", f"pipeprof explain {finding.rule}")


def _place(finding: Finding, named: dict[str, str]) -> str:
    parts = [named.get(finding.stage, finding.stage)] if finding.stage else []
    at = finding.location
    if at is not None:
        parts.append(f"{at.file}:{at.line}")
    return ", ".join(parts)


def _labelled(page: Page, label: str, text: str) -> None:
    """A word, and beside it a paragraph that stays right of the word."""
    line = Text().append(label.ljust(_LABEL + 1), style="dim").append(page.clean(text))
    page.prose(line, indent=_INDENT, hang=_LABEL + 1)


def _code(page: Page, label: str, text: str | None) -> None:
    """Code as it stands; a long line gives its remark a line of its own and breaks at spaces, where it stays valid."""
    margin = _INDENT + _LABEL + 1
    lines = [line for line in _STATEMENTS.sub("\n", text or "").splitlines() if line.strip()]
    for index, line in enumerate(_remarks_apart(lines, page.style.width - margin)):
        code = line.lstrip(" ")
        start = Text().append((label if index == 0 else "").ljust(_LABEL + 1), style="dim")
        start.append(" " * (len(line) - len(code)) + page.clean(code))
        page.prose(start, indent=_INDENT, hang=_LABEL + 1 + len(line) - len(code) + 4)


def _remarks_apart(lines: Sequence[str], width: int) -> Iterator[str]:
    for line in lines:
        remark = _REMARK.search(line)
        if remark is not None and len(line) > width:
            yield remark[0].strip()
            yield line[: remark.start()]
        else:
            yield line


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
