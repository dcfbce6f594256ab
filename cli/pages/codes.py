"""Codes of warnings and errors: what each means, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pipeprof.cli.report.blocks import Block, Heading, Prose, TextSpan
from pipeprof.pipelines.tables import read_table

Kind = Literal["warning of a run", "error of a run", "error in a spec"]


@dataclass(frozen=True)
class MessageCode:
    """A stable word that a message carries."""

    kind: Kind
    meaning: str
    action: str


_VALUE = "A value or its form is wrong: the message states what was given and what is expected."
_PLACE = "Correct the place that the message names."


@cache
def message_codes() -> Mapping[str, MessageCode]:
    """All codes by name, from ``codes.json``.

    Errors in a spec that are named after a value, as `number` or `duration`, share their text.
    """
    table = read_table("pipeprof.cli.pages", "codes")
    runs: tuple[Kind, ...] = ("warning of a run", "error of a run")
    return {
        **{code: MessageCode("error in a spec", _VALUE, _PLACE) for code in table["value in a spec"]},
        **{code: MessageCode("error in a spec", text, _PLACE) for code, text in table["error in a spec"].items()},
        **{code: MessageCode(kind, **texts) for kind in runs for code, texts in table[kind].items()},
    }


def describe_code(name: str) -> Iterator[Block]:
    """Describe one code: where it occurs, what it means, what to do."""
    code = message_codes()[name]
    yield Prose((TextSpan(name, "bold"), TextSpan(f": {code.kind}")), indent=0)
    yield Heading("Meaning")
    yield Prose(code.meaning, indent=2)
    yield Heading("What to do")
    yield Prose(code.action, indent=2)
