"""What a finding and an idea are, and what `rules.md` says of each.

A finding says what is wrong for certain, or what cannot be tried. An idea is a change worth measuring: nothing is said
of it before it was measured. Both are functions of a view that yield proposals, and are silent where they do not know.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Final, Literal, TypeAlias

from pipeprof.profiles.advise.proposal import Family, Proposal, Semantics
from pipeprof.profiles.view.view import PipelineView

Look: TypeAlias = Callable[[PipelineView], Iterable[Proposal]]


@dataclass(frozen=True)
class Check:
    """A finding or an idea.

    Attributes:
        name: Kebab-case, as in `ignore:` of a spec and in SARIF; the heading of its section in `rules.md`.
        semantics: What its change may do to the data, where a proposal does not say otherwise.
        waits: Whether it is about the speed of the pipeline: it counts only where a faster one makes the steps faster.
    """

    name: str
    kind: Literal["finding", "idea"]
    family: Family
    semantics: Semantics
    waits: bool
    look: Look

    def __call__(self, view: PipelineView) -> Iterator[Proposal]:
        """Yield what it sees, with its name, and with its title and semantics where a proposal has none of its own."""
        for proposal in self.look(view):
            yield replace(
                proposal,
                rule=self.name,
                title=proposal.title or sections()[self.name].title,
                semantics=proposal.semantics or self.semantics,
            )


def finding(name: str, family: Family, semantics: Semantics, *, waits: bool = False) -> Callable[[Look], Check]:
    """Make a function a finding. Its proposals have this family."""

    def made(look: Look) -> Check:
        return Check(name, "finding", family, semantics, waits, lambda view: _of_family(look(view), family))

    return made


def _of_family(proposals: Iterable[Proposal], family: Family) -> Iterator[Proposal]:
    return (replace(proposal, family=family) for proposal in proposals)


def idea(name: str) -> Callable[[Look], Check]:
    """Make a function an idea: of speed, and the same data, unless a proposal says otherwise."""

    def made(look: Look) -> Check:
        return Check(name, "idea", "speed", "same", True, look)

    return made


@dataclass(frozen=True)
class Section:
    """What `rules.md` says of a finding or an idea.

    Attributes:
        title: What to do, in a few words.
    """

    title: str
    why: str
    fix: str
    ignore_when: str


_HEADING: Final = re.compile(r"^## ([a-z0-9-]+): (.+)\n", re.M)
_PART: Final = re.compile(r"^\*\*(?:Why|Fix|Ignore when):\*\* ", re.M)


@functools.cache
def sections() -> Mapping[str, Section]:
    """The sections of `rules.md`, by name."""
    text = resources.files("pipeprof.profiles.advise").joinpath("rules.md").read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    found = {}
    for name, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        # The heading of the next kind of findings may follow.
        _, why, fix, ignore_when = (part.strip() for part in _PART.split(body.partition("\n# ")[0]))
        found[name] = Section(title, *map(_paragraphs, (why, fix, ignore_when)))
    return found


def _paragraphs(text: str) -> str:
    """A text with each paragraph in one line; code as it is."""
    parts = (part if part.startswith("```") else " ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(parts)
