"""The changes that are proposed, as cards: the change itself first, then how its gain is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeprof.cli.charts.intervals import Strip, draw_intervals
from pipeprof.cli.html.blocks import markup_of
from pipeprof.cli.html.parts import Card, Facts, Figure, Fold, Note, Part, Rows, Shown, Snippet
from pipeprof.cli.report.finding import describe_finding, describe_status
from pipeprof.cli.report.findings import (
    WITHOUT_RULE,
    build_findings,
    build_further,
    describe_gain,
    describe_measured,
    effect_on_data,
    place_of_finding,
    try_command,
)
from pipeprof.cli.report.blocks import Prose
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.time.proven import describe_epoch, describe_kept, describe_price
from pipeprof.profiles.wording import percent, ratio_text, span_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeprof.cli.charts.svg import Sheet
    from pipeprof.cli.html.parts import Idents
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.profile import Profile

_CHANGED = re.compile(r"(?P<what>[\w. ()-]+): (?P<old>[^→]+?) +→ +(?P<new>[^→]+)")
"""A change of one value in one line."""
_NEXT = re.compile(r", (?=[\w. ()-]+: [^→]+→)")
"""Between the changes of two values."""
_TONES = {"kept": "good", "ceiling": "", "unverified": "unclear", "rejected": ""}
MOST_DRAWN = 10
"""Changes whose rounds are drawn; of later ones they are in figures, which take a tenth of the bytes."""
_ELSEWHERE = frozenset({"Stage", "Place", "Measured", "Rule", "Status"})
"""Labels of facts that a card has in other places."""


def proposals(profile: Profile, idents: Idents) -> list[Part]:
    """A card for each finding, open the first one and the first one proven; where there is none, why."""
    findings = profile.findings or []
    parts: list[Part] = []
    if not findings:
        blocks = list(build_findings(profile, complete=True))
        return [Shown(markup_of(blocks, idents))] if blocks else []
    rules: dict[str, str] = {}
    proven = first_proven(profile)
    for number, finding in enumerate(findings, 1):
        is_open = number in {1, proven}
        parts.append(_card(profile, (number, finding), idents, rules, is_open=is_open))
    further = list(build_further(profile, complete=True))
    if further:
        ident = idents.of("further changes tried")
        parts.append(Fold(ident, "Further changes that were tried", [Shown(markup_of(further, idents))]))
    return parts


def first_proven(profile: Profile) -> int:
    """Number of the first change that is proven; 1 where none is."""
    findings = enumerate(profile.findings or (), 1)
    return next((number for number, finding in findings if finding.status == "kept"), 1)


def _card(
    profile: Profile, numbered: tuple[int, Finding], idents: Idents, rules: dict[str, str], *, is_open: bool
) -> Card:
    """Build a card.

    Args:
        rules: Where the page has the text of each rule so far; that of a new one is added.
    """
    number, finding = numbered
    ident = idents.of(f"finding {number}")
    parts: list[Part] = [*_change(profile, finding, number, ident)]
    seen: list[Part] = [Note(finding.sentence)] if finding.sentence and finding.rule not in WITHOUT_RULE else []
    # What was measured needs no reasons on the first screen.
    behind: list[Part] = seen if finding.status == "kept" else []
    parts += [] if finding.status == "kept" else seen
    if kept := describe_kept(profile, finding.cache):
        parts.append(Note(kept))
    drawn = list(pairs_of(finding.measured, f"{ident}-pairs", _shorter(finding.title), half=True))
    facts = list(_facts(profile, finding))
    if drawn and number > MOST_DRAWN:
        facts.append(("Rounds", ", ".join(value for figure in drawn if figure.table for _, value in figure.table.rows)))
        drawn = []
    if facts:
        behind.append(Facts(facts))
    behind += drawn
    # The gain of the card says what was measured so far.
    status = "not finished" if finding.unfinished is not None else describe_status(finding)
    command = try_command(profile, finding)
    if command is not None:
        behind.append(Snippet(f"{ident}-try", "Measure it with", command))
    behind += _rule(finding, ident, rules)
    if behind:
        how = "how it was measured" if finding.measured else "how it was predicted"
        parts.append(Fold(f"{ident}-evidence", "Evidence", behind, how))
    return Card(
        ident,
        number,
        finding.title,
        place_of_finding(profile, finding),
        describe_gain(finding, short=True, bounded=profile.only_bounds(finding)),
        f"{status}{'' if finding.cache is None else ', from the second epoch on'}",
        effect_on_data(finding.semantics, finding.measured, redrawn=finding.redrawn)[0],
        parts,
        _TONES[finding.status],
        folded=not is_open,
    )


def _shorter(title: str) -> str:
    return title if len(title) <= 60 else f"{title[:59]}…"


def _change(profile: Profile, finding: Finding, number: int, ident: str) -> Iterator[Part]:
    """The change as a diff where there is one, else in one line, and the lines that make it."""
    patch, python = finding.patch, finding.python
    diff = finding.diff or (patch if patch is not None and patch.startswith("--- ") else None)
    if diff is not None:
        yield Snippet(f"{ident}-diff", "The change", diff, f"change-{number}.patch", is_diff=True)
        return
    changed = [_CHANGED.fullmatch(one) for one in _NEXT.split(finding.change or "")]
    place = place_of_finding(profile, finding)
    if values := [one for one in changed if one is not None] if all(changed) else []:
        text = "\n".join(f"- {one['what']}: {one['old']}\n+ {one['what']}: {one['new']}" for one in values)
        yield Snippet(f"{ident}-diff", f"Change {place}" if place else "Change", text, is_diff=True, copied=False)
    elif finding.change:
        yield Facts([("Change", finding.change)])
    own, other = (patch, python) if profile.target.kind == "spec" else (python, patch)
    language = ("YAML", "Python") if profile.target.kind == "spec" else ("Python", "YAML")
    if own or other:
        label = f"As {language[0] if own else language[1]}"
        yield Snippet(f"{ident}-code", label, own or other or "")


def _facts(profile: Profile, finding: Finding) -> Iterator[tuple[str, str]]:
    """What is known of a finding, as its report in text has it, without what the card shows elsewhere."""
    step = profile.steps is not None and profile.steps.dispatch is not None
    notes = (describe_epoch(profile, finding), describe_price(profile, finding))
    bounded, effects = profile.only_bounds(finding), list(filter(None, notes))
    blocks = describe_finding(finding, profile.stages or [], step=step, bounded=bounded, effects=effects)
    said = {finding.sentence, finding.change}
    for block in blocks:
        if isinstance(block, Prose) and isinstance(block.text, tuple) and len(block.text) == 2:
            label, text = (span.text.strip() for span in block.text)
            if label not in _ELSEWHERE and text not in said:
                said.add(text)
                yield label, text
    if finding.measured:
        yield "Measured", describe_measured(finding.measured)
    if finding.reason and finding.status in {"unverified", "rejected"}:
        yield "Status", finding.reason


def _rule(finding: Finding, ident: str, rules: dict[str, str]) -> Iterator[Part]:
    """Why it matters, and when not: once on the page, to which the other cards of the rule lead."""
    from markupsafe import Markup

    from pipeprof.profiles.advise.check import sections

    name, section = finding.rule, sections().get(finding.rule)
    if section is None:
        return
    if name in rules:
        line = Markup('<p class="note">Rule <a href="#{}">{}</a>: {}</p>')
        yield Shown(line.format(rules[name], name, section.title))
    else:
        rules[name] = f"{ident}-rule"
        pairs = [("Why it matters", section.why), ("Fix", section.fix), ("Ignore when", section.ignore_when)]
        yield Fold(f"{ident}-rule", f"Rule {name}", [Facts(pairs)], section.title, printed=False)


def pairs_of(measured: Mapping[str, Any] | None, ident: str, title: str, *, half: bool = False) -> Iterator[Figure]:
    """The rounds of a measured factor as dots, with its interval and the floor."""
    known = measured or {}
    pairs, speedup = known.get("pairs"), known.get("speedup")
    if not pairs or not speedup:
        return
    floor = FLOOR
    words = f"{ratio_text(speedup)}"
    if known.get("low") and known.get("high"):
        words += f" ({span_text(known['low'], known['high'])})"
    row = Strip("all rounds", speedup, known.get("low"), known.get("high"), pairs, words)
    yield Figure(
        ident,
        "Rounds",
        partial(draw_factors, rows=[row]),
        f"{title}: {len(pairs)} rounds from {ratio_text(min(pairs))} to {ratio_text(max(pairs))}; together {words}.",
        f"{len(pairs)} rounds, steps per second with the change over without; the grey band is the floor of "
        f"{percent(floor)}, too little to count.",
        table=Rows(
            ("pair", "steps per second, with over without"),
            [(str(number), f"{ratio_text(value)}") for number, value in enumerate(pairs, 1)],
        ),
        half=half,
    )


def draw_factors(sheet: Sheet, rows: Sequence[Strip]) -> str:
    """Factors of steps per second: more is better."""
    return draw_intervals(
        sheet,
        rows=rows,
        reference=1.0,
        floor=(1 / (1 + FLOOR), 1 + FLOOR),
        write=lambda value: f"{value:g}×",
        names=("slower", "faster"),
    )
