"""What a finding and an idea are, and what `rules.md` says of each.

A finding says what is wrong for certain, or what cannot be tried. An idea is a change worth measuring: nothing is said
of it before it was measured. Both are functions of a view that yield proposals, and are silent where they do not know.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from textwrap import dedent
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pipeprof.pipelines.suggest import suggest
from pipeprof.profiles.advise.proposal import Family, Proposal, Semantics
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.view.view import PipelineView

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.spec import Ignore


Look: TypeAlias = Callable[[PipelineView], Iterable[Proposal]]


@dataclass(frozen=True)
class Check:
    """A finding or an idea, with what its change may do to the data where a proposal does not say otherwise.

    It `waits` where it is about speed: it counts only where a faster pipeline makes the steps faster.
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
    """What `rules.md` says of a finding or an idea."""

    title: str
    why: str
    fix: str
    ignore_when: str


_HEADING: Final = re.compile(r"^## ([a-z0-9-]+): (.+)\n", re.M)
_PART: Final = re.compile(r"^- \*\*(?:Why|Fix|Ignore when):\*\* ", re.M)


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
    parts = (dedent(part) if "```" in part else " ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(parts)


NEW_NAMES: Final[dict[str, str]] = {
    "cache-in-memory-over-budget": "cache-over-budget",
    "cache-smaller-elements": "cache",
    "changing-shapes": "retraced-step",
    "copy-before-step": "idle-device",
    "csv-row-by-row": "parse-in-batches",
    "dataset-rebuilt": "iterator-made-anew",
    "drop-after-expensive-map": "drop-earlier",
    "file-cache-fits-memory": "cache",
    "filter-after-expensive-map": "drop-earlier",
    "first-again": "iterator-made-anew",
    "from-generator-per-element": "generator-per-element",
    "from-tensor-slices-big-array": "big-array",
    "generator-waits": "generator-per-element",
    "heap-slack": "process-environment",
    "iterator-each-step": "iterator-made-anew",
    "library-threads": "process-environment",
    "map-before-batch-scalar": "whole-batches",
    "no-prefetch": "default-options",
    "no-prefetch-between": "prefetch-between",
    "parse-single-example": "parse-in-batches",
    "pool-slack": "process-environment",
    "readers-of-small-records": "fewer-calls",
    "serial-map-cpu": "parallel-calls",
    "serial-map-latency": "parallel-calls",
    "threadpool-caps-blocking-map": "parallel-calls",
    "threadpool-too-small": "parallel-calls",
    "two-iterators": "iterator-made-anew",
    "windows-one-by-one": "windows-at-once",
}
"""The finding or idea that is in the place of a rule."""
_DIVISION: Final = "what a strategy of TensorFlow divides among hosts is not worked out any more"
_UPPER_BOUND: Final = "an upper bound names the stage, its line and what to write"
GONE: Final[dict[str, str]] = {
    "autoshard-data-policy": _DIVISION,
    "concatenated-parts": _UPPER_BOUND,
    "files-of-few-records": "store more records in each file",
    "functions-eager": "the script says so itself",
    "group-after-expensive-map": _UPPER_BOUND,
    "groups-never-full": "a smaller window_size fills",
    "list-instead-of-array": "give from_tensor_slices an array",
    "padding-waste": "bucket_by_sequence_length pads less",
    "python-between-steps": "the steps of a report show the time of the loop",
    "read-once-per-branch": "cache() before the branches",
    "rebuilt-per-call": _UPPER_BOUND,
    "records-batched-inside": _UPPER_BOUND,
    "row-per-call": _UPPER_BOUND,
    "sent-by-processes": "make the elements in a map with parallel calls",
    "short-executions": "steps_per_execution of compile() runs several steps at once",
    "shuffle-refilled": "the verdict says what the starts of epochs take",
    "source-in-python": _UPPER_BOUND,
    "too-few-files": _DIVISION,
    "unequal-shards": _DIVISION,
    "wide-batches": "send narrow types, and widen them in the step",
    "windows-from-array": _UPPER_BOUND,
}
"""Why there is no such rule any more, or what to do instead."""


def instead_of(name: str) -> str | None:
    """The end of a sentence about a rule of an earlier version; None for any other name."""
    if name in NEW_NAMES:
        return f"is {NEW_NAMES[name]} now"
    return f"is gone: {GONE[name]}" if name in GONE else None


def warn_of_unknown(ignore: Iterable[Ignore], known: Collection[str]) -> list[Message]:
    """A warning for each name in `ignore:` that no finding or idea has: it hides nothing."""
    messages = []
    for name in dict.fromkeys(entry.rule for entry in ignore if entry.rule not in known):
        meant = suggest(name, known)
        hint = f" — did you mean {meant}?" if meant else "; `pipeprof rules` lists them"
        text = instead_of(name) or f"is no finding or idea{hint}"
        messages.append(Message(code="unknown-rule", message=f"`ignore` names {name!r}, which {text}"))
    return messages
