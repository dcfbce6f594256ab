"""The page of a search: the proven change as a diff, and the ladder of factors that led to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from pipeprof.cli.charts.intervals import Strip
from pipeprof.cli.html.blocks import markup_of
from pipeprof.cli.html.findings import draw_factors, pairs_of
from pipeprof.cli.html.parts import Facts, Figure, Headline, Part, Rows, Shown, Snippet
from pipeprof.cli.html.steps import before_and_after
from pipeprof.cli.report.findings import describe_measured
from pipeprof.cli.report.fix import RESULTS, build_facts, build_headline, build_search_on, titles_of
from pipeprof.cli.report.blocks import Command, KeyValue, Prose
from pipeprof.cli.report.units import describe_delta
from pipeprof.pipelines.changes.environment import assignment
from pipeprof.profiles.wording import ratio_text

if TYPE_CHECKING:
    from pipeprof.cli.html.parts import Idents
    from pipeprof.profiles.document.findings import Fix, FixStep
    from pipeprof.profiles.document.profile import Profile

_TONES = {"fixed": "good", "taken": "", "nothing": "", "not-proven": "unclear", "interrupted": "unclear"}
_MOST_TRIED = 24
"""Changes of the ladder that were not taken."""


def fix_headline(profile: Profile, fix: Fix) -> Headline:
    """The result of a search: the factor is in the middle of it."""
    head = build_headline(fix, interrupted=profile.exit_code != 1)
    spans = head.text if isinstance(head, Prose) and isinstance(head.text, tuple) else ()
    label, rest = (*(span.text for span in spans), "", "")[:2]
    facts = [
        (block.key, block.value.replace("`", "")) for block in build_facts(profile, fix) if isinstance(block, KeyValue)
    ]
    measured = fix.measured or {}
    factor = interval = ""
    if fix.status == "fixed" and measured.get("speedup"):
        factor = f"{ratio_text(measured['speedup'])}"
        interval = describe_measured({**measured, "peak_rss_delta_bytes": None}).partition(" ")[2].strip("()")
        interval = f"{interval} · proven" if interval else "proven"
        rest = " more steps per second" if measured["speedup"] > 1 else rest
    return Headline(_TONES[fix.status], label, rest, factor, interval, facts)


def fix_parts(profile: Profile, fix: Fix, idents: Idents) -> list[Part]:
    """The change, and what it brings."""
    parts: list[Part] = []
    if fix.edits:
        if fix.diff:
            label = "The change as a diff"
            parts.append(Snippet(idents.of("diff"), label, fix.diff, "fast.patch", is_diff=True))
        if fix.text:
            parts.append(Snippet(idents.of("spec"), "The changed spec", fix.text, "fast.yaml", folded=True))
        if fix.changes and not fix.diff:
            parts.append(Facts([("Change", one) for one in fix.changes]))
        if fix.environment:
            pairs = [("Start with", assignment(name, value)) for name, value in fix.environment.items()]
            parts.append(Facts(pairs))
    for block in build_search_on(profile, fix) if fix.status not in {"fixed", "taken"} else ():
        if isinstance(block, Command) and block.value:
            parts.append(Snippet(idents.of("next"), f"Next: {block.note}", block.value))
    if fix.status == "fixed":
        parts += before_and_after(profile, "the fix", fix.measured)
    return parts


def search_parts(fix: Fix, idents: Idents) -> list[Part]:
    """What was tried, and what proves the result."""
    parts: list[Part] = [*ladder(fix, idents), *pairs_of(fix.measured, idents.of("pairs"), "The proof")]
    named = zip(fix.steps, titles_of(fix.steps), strict=True)
    reasons = [Prose(f"{title}: {step.reason}") for step, title in named if step.speedup is None]
    if reasons:
        parts.append(Shown(markup_of(reasons, idents)))
    return parts


def ladder(fix: Fix, idents: Idents) -> Iterator[Figure]:
    """The changes in the order in which they were tried, each over the best pipeline before its race."""
    tried = [step for step in fix.steps if step.speedup is not None]
    taken = [step for step in tried if step.result == "taken"]
    others = [step for step in tried if step.result != "taken"][:_MOST_TRIED]
    rows, told = [], []
    for step, title in zip(tried, titles_of(tried), strict=True):
        if step.result != "taken" and not any(step is one for one in others):
            continue
        # All changes of one race were measured against the same pipeline.
        base = math.prod(one.speedup or 1.0 for one in taken if one.round < step.round)
        rows.append(_rung(step, title, base))
        told.append(_words(step, title, base))
    measured = fix.measured or {}
    if measured.get("speedup"):
        words = describe_measured({**measured, "peak_rss_delta_bytes": None})
        rows.append(
            Strip(
                "all of it, proven" if fix.status == "fixed" else "all of it, in the proof",
                measured["speedup"],
                measured.get("low"),
                measured.get("high"),
                words=words,
                verdict="PROVEN" if fix.status == "fixed" else "",
                class_="good" if fix.status == "fixed" else "unclear",
            )
        )
        told.append(("", "all of it against the pipeline as it is", words, "", ""))
    if not rows:
        return
    yield Figure(
        idents.of("ladder"),
        "The ladder of changes",
        partial(draw_factors, rows=rows),
        "; ".join(f"{name} {factor}" for _, name, factor, _, _ in told) + ".",
        "Steps per second relative to the unchanged pipeline. Each change was measured against the best pipeline of "
        "the races before it, and is drawn on top of that one's factor; the last row was measured as a whole.",
        table=Rows(("race", "change", "factor", "memory", "result"), told),
    )


def _rung(step: FixStep, title: str, base: float) -> Strip:
    value, low, high = (base * one if one is not None else None for one in (step.speedup, step.low, step.high))
    is_taken = step.result == "taken"
    factor = f"{ratio_text(step.speedup or 1.0)}"
    return Strip(
        title,
        value,
        low,
        high,
        dots=[base * ratio for ratio in step.ratios],
        words=f"{factor}{_over(base)} · {RESULTS.get(step.result, step.result)}",
        class_="good" if is_taken else "",
        faint=not is_taken,
    )


def _over(base: float) -> str:
    return f" on {ratio_text(base)}" if base > 1 else ""


def _words(step: FixStep, title: str, base: float) -> tuple[str, str, str, str, str]:
    memory = describe_delta(step.peak_rss_delta_bytes) if step.peak_rss_delta_bytes is not None else ""
    factor = f"{ratio_text(step.speedup or 1.0)}{_over(base)}"
    name = f"{step.title} ({step.change})" if step.change else title
    return str(step.round or ""), name, factor, memory, RESULTS.get(step.result, step.result)
