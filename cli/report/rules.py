"""What ``pipeprof rules`` prints: all findings and ideas, one of them, or the code of a warning or an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pipeprof.cli.report.blocks import Block, Code, Column, Heading, Table, Text
from pipeprof.cli.report.changes import EFFECTS
from pipeprof.pipelines.tables import read_table
from pipeprof.profiles.advise.check import Check, sections

KINDS = {
    "finding": ("Findings", "what is wrong for certain, or cannot be tried"),
    "idea": ("Ideas", "changes that run measures; reported only if they help"),
}
_DATA = {"same": "same", "order": "new order", "randomness": "new draws", "values": "may differ"}
"""What a fix may do to the data, in a column."""
_TRIED = "only if run tried it and it helps"
_WAITS = "only after a run, where a faster pipeline would make the steps at least 5 % faster"
Kind = Literal["warning of a run", "error of a run", "error in a spec"]


@dataclass(frozen=True)
class MessageCode:
    """A stable word that a message carries."""

    kind: Kind
    meaning: str
    action: str


_IN_SPEC = MessageCode(
    "error in a spec", "The message says what was expected, and shows the place.", "Correct the place that it shows."
)


@cache
def message_codes() -> Mapping[str, MessageCode]:
    """All codes by name, from ``codes.json``: of a run, what a code means and what to do."""
    table = read_table("pipeprof.cli.report", "codes")
    runs: tuple[Kind, ...] = ("warning of a run", "error of a run")
    return {
        **dict.fromkeys(table["error in a spec"], _IN_SPEC),
        **{code: MessageCode(kind, *texts) for kind in runs for code, texts in table[kind].items()},
    }


def list_rules(checks: Sequence[Check]) -> Iterator[Block]:
    """Build a row for each finding and idea."""
    for kind, (title, note) in KINDS.items():
        rows = [check for check in checks if check.kind == kind]
        yield Heading(title, note)
        yield Table(
            [
                Column("name", [check.name for check in rows], right=False),
                Column("what to do", [sections()[check.name].title for check in rows], right=False, wrap=True),
                Column("data", [_DATA[check.semantics] for check in rows], right=False, keep=0),
            ]
        )
    yield Text("pipeprof rules NAME: why it matters, how to fix it, when to ignore it", indent=0, style="dim")


def describe_rule(check: Check) -> Iterator[Block]:
    """Describe one finding or idea in full: why it costs, the fix, and when to ignore it."""
    section = sections()[check.name]
    yield Heading(check.name, section.title)
    for title, text in (("Why", section.why), ("Fix", section.fix), ("Ignore when", section.ignore_when)):
        yield Heading(title)
        for paragraph in text.split("\n\n"):
            lines = paragraph.split("\n")
            yield Code("\n".join(lines[1:-1])) if lines[0].startswith("```") else Text(paragraph)
    yield Heading("Data after it", EFFECTS[check.semantics])
    if when := _TRIED if check.kind == "idea" else _WAITS if check.waits else "":
        yield Heading("Reported", when)
    yield Heading("In a spec", "to leave it out, with your reason")
    yield Code(f"ignore:\n  - rule: {check.name}\n    reason: why it does not apply here")


def describe_code(name: str) -> Iterator[Block]:
    """Describe one code: where it occurs, what it means, what to do."""
    code = message_codes()[name]
    yield Heading(name, code.kind)
    yield Text(code.meaning)
    yield Heading("What to do")
    yield Text(code.action)
