"""Findings and ideas as a table, and one of them in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeprof.cli.report.finding import SEMANTICS
from pipeprof.cli.report.blocks import Blank, Block, Code, Heading, Prose, TextSpan
from pipeprof.profiles.advise.check import Check, sections

_SEMANTICS_WIDTH = 10
KINDS = {
    "finding": ("Findings", "what is wrong for certain, or cannot be tried"),
    "idea": ("Ideas", "changes that run measures; reported only if they help"),
}
WAITS = "only after a run, where a faster pipeline would make the steps at least 5 % faster"


def list_rules(checks: Sequence[Check]) -> Iterator[Block]:
    """Build one line a finding or idea."""
    width = max((len(check.name) for check in checks), default=0)
    lead = width + 2 + _SEMANTICS_WIDTH + 2
    for kind, (title, note) in KINDS.items():
        yield Heading(title, note)
        yield Prose(f"{'name'.ljust(width)}  {'semantics'.ljust(_SEMANTICS_WIDTH)}  what to do", hang=lead, style="dim")
        for check in checks:
            if check.kind == kind:
                columns = f"{check.name.ljust(width)}  {check.semantics.ljust(_SEMANTICS_WIDTH)}"
                yield Prose(f"{columns}  {sections()[check.name].title}", hang=lead)
    yield Blank()
    yield Prose("semantics: what the fix may change in the data", indent=0, style="dim")
    yield Prose("pipeprof explain NAME: why it matters, how to fix it, when to ignore it", indent=0, style="dim")


def describe_rule(check: Check) -> Iterator[Block]:
    """Describe one finding or idea in full: why it costs, the fix, and when to ignore it."""
    section = sections()[check.name]
    yield Prose((TextSpan(check.name, "bold"), TextSpan(f": {section.title}")), indent=0)
    for title, text in (("Why", section.why), ("Fix", section.fix), ("Ignore when", section.ignore_when)):
        yield Heading(title)
        for paragraph in text.split("\n\n"):
            yield Code("\n".join(paragraph.split("\n")[1:-1])) if paragraph.startswith("```") else Prose(paragraph)
    yield Heading("Effect on the data", f"{check.semantics}: {SEMANTICS[check.semantics]}")
    if check.kind == "idea":
        yield Heading("Reported", "only if run tried it and it helps")
    elif check.waits:
        yield Heading("Reported", WAITS)
    yield Heading("In a spec", "to leave it out, with your reason")
    yield Code(f"ignore:\n  - rule: {check.name}\n    reason: why it does not apply here")
