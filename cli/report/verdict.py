"""The verdict: one line, and the details that belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.text.blocks import Block, KeyValue, Prose, TextSpan

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

_COLORS = {"input": "yellow", "step": "green", "balanced": "cyan"}

_LABEL_WIDTH = 12


def build_verdict(profile: Profile) -> Iterator[Block]:
    """Build the headline, and one line for each detail."""
    verdict = profile.verdict
    if verdict is None:
        yield Prose((TextSpan("No verdict yet: the run has not ended.", "bold red"),), indent=0)
        return
    failed = not profile.complete or bool(profile.exit_code)
    color = "red" if failed else _COLORS.get(verdict.bound or "", "")
    head, colon, rest = (verdict.headline or verdict.sentence).partition(":")
    yield Prose((TextSpan(f"{head}{colon}", f"bold {color}".strip()), TextSpan(rest)), indent=0)
    width = max((len(detail.label) + 2 for detail in verdict.details), default=0)
    for detail in verdict.details if verdict.headline else ():
        yield KeyValue(detail.label, detail.text, indent=2, width=max(width, _LABEL_WIDTH))
