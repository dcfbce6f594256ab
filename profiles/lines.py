"""Walks along a pipeline's stages, by their addresses: which follow each other, and which are inside of others.

A line is a source with its stages: the pipeline itself, a further input of a stage that joins several, or what the
function of a stage makes. A line is known by the address of its pipeline, which is empty for the main line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeprof.pipelines.addresses import pipeline_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

# A further input is named by its number in a graph, by its argument in a spec.
_INPUT = re.compile(r"(?P<reader>.+)\.(?:(?:inputs|datasets)\.\d+|dataset|choice_dataset|weights)")


def lines_of(stages: Iterable[Stage]) -> dict[str, list[Stage]]:
    """The stages as written, the source of each line first, by the address of their pipeline."""
    found: dict[str, list[Stage]] = {}
    for stage in stages:
        pipeline = pipeline_of(stage.id)
        if stage.origin == "written" and pipeline != stage.id:
            found.setdefault(pipeline, []).append(stage)
    return found


def main_line(profile: Profile) -> list[Stage]:
    """The stages that follow each other outside of all functions, the source first."""
    return line_of(profile, None)


def line_of(profile: Profile, address: str | None) -> list[Stage]:
    """The stages that follow each other where a stage is, the source first; the main line without an address.

    Example:
        An address ``source.inputs.0.stages.1`` is in the line of ``source.inputs.0.source``.
    """
    return lines_of(profile.stages or ()).get(pipeline_of(address or ""), [])


def reader_of(pipeline: str) -> str | None:
    """The stage that has a pipeline as a further input; ``None`` of the main line, and of what a function makes.

    Example:
        >>> reader_of("source.inputs.1"), reader_of("stages.2.dataset"), reader_of("stages.2")
        ('source', 'stages.2', None)
    """
    found = _INPUT.fullmatch(pipeline)
    return found["reader"] if found is not None else None


def is_outside_functions(address: str) -> bool:
    """Whether a stage is on the main line, or on that of a further input of such a stage.

    Example:
        >>> [is_outside_functions(one) for one in ("stages.3", "source.inputs.0.stages.1", "stages.3.source")]
        [True, True, False]
    """
    reader: str | None = address
    while reader is not None:
        pipeline = pipeline_of(reader)
        if not pipeline:
            return True
        reader = reader_of(pipeline)
    return False


def stages_around(address: str) -> Iterator[str]:
    """The addresses of the stages whose functions or inputs a stage is in, the nearest first.

    Example:
        >>> list(stages_around("stages.1.source.datasets.0.stages.2"))
        ['stages.1.source', 'stages.1']
    """
    while address := address.rpartition(".")[0]:
        if pipeline_of(address) != address:
            yield address


def on_main_line(address: str | None) -> str | None:
    """The stage of the main line that a stage is, or is inside of.

    Example:
        >>> on_main_line("stages.1.stages.0"), on_main_line("source.inputs.0.stages.2"), on_main_line("stages.3")
        ('stages.1', 'source', 'stages.3')
    """
    if address is None:
        return None
    return [address, *stages_around(address)][-1]


def within(address: str, owner: str) -> bool:
    """Whether a stage is inside another one: of its functions, or of what it joins."""
    return address.startswith(f"{owner}.")


def inside(profile: Profile, stage: Stage) -> list[Stage]:
    """The stages as written that are inside a stage."""
    return [one for one in profile.stages or () if one.origin == "written" and within(one.id, stage.id)]


def written_ops(profile: Profile) -> list[tuple[str, str]]:
    """The op of each stage that is written, by address."""
    return [(stage.id, stage.op) for stage in profile.stages or () if stage.origin == "written"]
