"""The page of a run: the result, what to change, and the pictures of what was measured."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipeprof.cli.html.blocks import markup_of
from pipeprof.cli.html.findings import first_proven, proposals
from pipeprof.cli.html.fix import fix_headline, fix_parts, search_parts
from pipeprof.cli.html.memory import memory_at_peak, memory_over_time, tuned, tuned_over_time
from pipeprof.cli.html.parts import Fold, Group, Headline, Idents, Note, Page, Part, Section, Shown, Snippet
from pipeprof.cli.html.stages import stage_graph
from pipeprof.cli.html.steps import before_and_after, gaps, over_time, spread
from pipeprof.cli.report.findings import is_of_stages
from pipeprof.cli.report.next_step import next_command
from pipeprof.cli.report.problems import list_warnings, select_warnings
from pipeprof.cli.report.report import SECTIONS, build_verdict
from pipeprof.cli.report.steps import elements_rate, rate_over_time
from pipeprof.cli.text.blocks import Block, Heading, KeyValue, Prose, with_texts
from pipeprof.cli.text.units import seconds
from pipeprof.profiles.document.store import encode
from pipeprof.profiles.wording import ratio_text, significant, span_text

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

MOST_JSON = 400_000
"""Characters of the document that a page contains; a longer one is left out."""
_LEAST_OF_SAMPLE = 45
"""Characters that a sample of the series takes there: five values, each in a line with its indentation."""
MOST_BLOCKS = 400
"""Blocks of one section in text."""
_TONES = {"input": "bad", "step": "good", "balanced": "good"}
_APART = frozenset({"verdict", "findings", "warnings"})
"""Sections in text whose content the page has elsewhere."""
_SHOW = "pipeprof show"


def run_page(profile: Profile, saved: str | None) -> Page:
    """The page of a profile.

    Args:
        saved: Path of the saved profile as it is to be shown.
    """
    idents = Idents()
    fix = profile.fix
    # A run may have done what was asked, with a warning.
    wrong = "What went wrong" if profile.errors or profile.exit_code else "Warnings"
    errors = [Section(idents.of("errors"), wrong, _errors(profile, idents))]
    to_change = [Section(idents.of("fix"), *_to_change(profile, idents))]
    measured = [
        Section(idents.of("steps"), "Steps", list(over_time(profile)), _rates(profile)),
        Section(idents.of("pipeline"), "Pipeline", _graph(profile, idents)),
    ]
    sections = [
        Section(idents.of("search"), "What was tried", search_parts(fix, idents) if fix is not None else []),
        Section(idents.of("memory"), "Memory", [*memory_over_time(profile), *memory_at_peak(profile)]),
        Section(idents.of("spread"), "Step times and gaps", _pair([*spread(profile), *gaps(profile)])),
        Section(idents.of("autotune"), "Buffers", [*tuned(profile), *tuned_over_time(profile)]),
        Section(idents.of("numbers"), "All numbers", [*_numbers(profile, idents), *_json(profile, idents)]),
    ]
    # Where nothing is proposed, a command stands alone: the steps fill its column.
    is_short = fix is None and not profile.findings
    columns = [_known([*to_change, *measured[:is_short]]), _known(measured[is_short:])]
    return Page(
        "fix" if fix is not None else "run",
        profile.target.text,
        profile.tool.version,
        fix_headline(profile, fix) if fix is not None else _headline(profile),
        _known(sections),
        list(_facts(profile, saved)),
        shlex.join(profile.command),
        _known(errors),
        [column for column in columns if column],
    )


def _unmarked(text: str) -> str:
    """A sentence without the marks of code, which a page does not read."""
    return text.replace("`", "")


def _known(sections: Sequence[Section]) -> list[Section]:
    """Those with anything in them."""
    return [section for section in sections if section.parts]


def _headline(profile: Profile) -> Headline:
    head, *others = build_verdict(profile, brief=True)
    spans = head.text if isinstance(head, Prose) and isinstance(head.text, tuple) else ()
    label, rest = (*(span.text for span in spans), "", "")[:2]
    failed = not profile.complete or bool(profile.exit_code)
    bound = profile.verdict.bound if profile.verdict is not None else None
    factor, interval = _factor(profile)
    details = [(block.key, _unmarked(block.value)) for block in others if isinstance(block, KeyValue)]
    alone = profile.steps is not None and profile.steps.dispatch is None
    tone = "bad" if failed else "" if alone else _TONES.get(bound or "", "")
    return Headline(tone, label, rest, factor, interval, details)


def headline_change(profile: Profile) -> tuple[str, dict[str, Any], str] | None:
    """Name, measured effect and status of the change that gains most; of an upper bound only where none is proven.

    A cache gains on data that fits, from the second epoch on: it counts only where nothing else is proven.
    """
    for status, cached in (("kept", False), ("kept", True), ("ceiling", False)):
        found = [
            (number, one.measured)
            for number, one in enumerate(profile.findings or (), 1)
            if one.status == status
            and (one.cache is not None) == cached
            and one.measured
            and one.measured.get("speedup")
            and not is_of_stages(one)
        ]
        if found:
            number, measured = max(found, key=lambda one: float(one[1]["speedup"]))
            name = f"change {number}{' from the second epoch on' if cached else ''}"
            return (name if status == "kept" else f"bound {number}"), measured, status
    return None


def _factor(profile: Profile) -> tuple[str, str]:
    """The largest proven factor with its interval and what proves it; empty where nothing is proven."""
    best = headline_change(profile)
    if best is None:
        return "", ""
    name, measured, status = best
    what = f"faster with {name}, measured" if status == "kept" else f"faster at most (finding {name[6:]})"
    return f"{ratio_text(measured['speedup'])}", ": ".join(filter(None, (what, _interval(measured))))


def _interval(measured: dict[str, object]) -> str:
    if measured.get("at_limit"):
        return str(measured["at_limit"])
    low, high, pairs = (measured.get(name) for name in ("low", "high", "pairs"))
    many = f", {len(pairs)} rounds" if isinstance(pairs, list) else ""
    if isinstance(low, float) and isinstance(high, float):
        return f"{span_text(low, high)}{many}"
    return many.removeprefix(", ")


def _facts(profile: Profile, saved: str | None) -> Iterator[str]:
    host = profile.host
    if profile.started:
        yield profile.started[:16].replace("T", " ") + " UTC"
    yield f"{host.cores:g} core{'' if host.cores == 1 else 's'}{f', {host.gpus[0]}' if host.gpus else ''}"
    if version := profile.versions.get("tensorflow"):
        yield f"TensorFlow {version}"
    if saved:
        yield f"saved as {saved}"


def _rates(profile: Profile) -> str:
    steps, flow = profile.steps, profile.throughput
    if steps is None or not steps.count:
        return ""
    parts = [f"{steps.count:,} in {seconds(steps.seconds)}"]
    if flow is not None and flow.batches_per_second is not None:
        parts.append(f"{significant(flow.batches_per_second)} batches/s{rate_over_time(profile)}")
    if flow is not None and flow.elements_per_second not in (None, flow.batches_per_second):
        parts.append(elements_rate(profile, flow.elements_per_second or 0.0))
    return " · ".join(parts)


def _errors(profile: Profile, idents: Idents) -> list[Part]:
    parts: list[Part] = []
    blocks = list(SECTIONS["errors"](profile))
    if blocks:
        parts.append(Shown(markup_of(blocks, idents)))
    parts += [Note(_unmarked(f"{one.code}: {one.message}"), "unclear") for one in select_warnings(profile)]
    return parts


def _to_change(profile: Profile, idents: Idents) -> tuple[str, list[Part], str]:
    """Title, parts and summary of what to do."""
    if profile.fix is not None:
        return "The fix", fix_parts(profile, profile.fix, idents), ""
    parts = proposals(profile, idents)
    change = headline_change(profile)
    if change is not None:
        # Below the first proven change, so that it is on the first screen however many there are.
        below = first_proven(profile)
        parts[below:below] = before_and_after(profile, *change)
    command = next_command(profile, None)
    if command is not None and not command.is_listed and not command.line.startswith(_SHOW):
        parts.append(Snippet(idents.of("next"), f"Next: {command.purpose}", command.line))
    return "What to change", parts, ""


def _graph(profile: Profile, idents: Idents) -> list[Part]:
    graph = stage_graph(profile, idents)
    return [graph] if graph is not None else []


def _pair(figures: Sequence[Part]) -> list[Part]:
    return [Group(figures)] if figures else []


def _numbers(profile: Profile, idents: Idents) -> Iterator[Part]:
    """Every section of the report in text, folded."""
    for name, build in SECTIONS.items():
        if name in _APART or name == "errors":
            continue
        yield from folded(name, list(build(profile)), idents)
    yield from folded("warnings", [with_texts(one, _unmarked) for one in list_warnings(profile.warnings)], idents)


def folded(name: str, blocks: list[Block], idents: Idents) -> Iterator[Part]:
    """Blocks of a section under its title; nothing of an empty one."""
    if not blocks:
        return
    first = blocks[0]
    title, rest = (first.title, first.rest) if isinstance(first, Heading) else (name.capitalize(), "")
    shown = blocks[1:] if isinstance(first, Heading) else blocks
    if len(shown) > MOST_BLOCKS:
        shown = [*shown[:MOST_BLOCKS], Prose(f"{len(shown) - MOST_BLOCKS:,} more lines are in the saved document.")]
    yield Fold(idents.of(f"all {name}"), title, [Shown(markup_of(shown, idents))], rest)


def _json(profile: Profile, idents: Idents) -> Iterator[Part]:
    # Each number of a series has a line of its own: what is too long by them alone need not be written first.
    if len(profile.series.seconds) * _LEAST_OF_SAMPLE <= MOST_JSON:
        yield from json_of(encode(profile).decode(), idents)


def json_of(text: str, idents: Idents) -> Iterator[Part]:
    """The document itself, unless it is too long for a page."""
    ident = idents.of("json")
    if len(text) <= MOST_JSON:
        yield Fold(
            ident, "JSON", [Snippet(f"{ident}-document", "The document", text)], "the same document", printed=False
        )
