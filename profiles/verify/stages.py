"""What verification asks of a run's stages: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage


def pays(profile: Profile) -> bool:
    """Whether a faster pipeline would make the steps faster."""
    verdict, headspace = profile.verdict, profile.headspace
    if verdict is None or verdict.bound not in ("input", "balanced"):
        return False
    return headspace is None or headspace.share >= 0.05


def runs_python(stage: Stage) -> bool:
    """Whether a stage calls Python, as far as the run has shown."""
    row = traits(stage.op)
    return bool(stage.python) or any(op.op in PYTHON for op in stage.ops or ()) or (row.computes and row.wrapped)


def on_main_line(address: str | None) -> str | None:
    """The stage outside of all functions that a stage is, or is inside of.

    Example:
        >>> on_main_line("stages.1.stages.0"), on_main_line("source.inputs.0.stages.2"), on_main_line("stages.3")
        ('stages.1', 'source', 'stages.3')
    """
    if address is None:
        return None
    first, _, rest = address.partition(".")
    return first if first == "source" else f"{first}.{rest.partition('.')[0]}"


def written_ops(profile: Profile) -> list[tuple[str, str]]:
    """The op of each stage that is written, by address."""
    return [(stage.id, stage.op) for stage in profile.stages or () if stage.origin == "written"]


def main_line(profile: Profile) -> list[Stage]:
    """The stages that follow each other outside of all functions, the source first."""
    return line_of(profile, None)


def line_of(profile: Profile, address: str | None) -> list[Stage]:
    """The stages that follow each other where a stage is, the source first; the main line without an address.

    Example:
        An address ``source.inputs.0.stages.1`` is in the line of ``source.inputs.0.source``.
    """
    begin = _LAST_PART.sub("", address or "")
    rest = len(begin)
    return [
        stage
        for stage in profile.stages or ()
        if stage.origin == "written" and stage.id.startswith(begin) and _LAST_PART.fullmatch(stage.id[rest:])
    ]


def joined_lines(profile: Profile, line: Sequence[Stage]) -> Iterator[list[list[Stage]]]:
    """The lines that each stage of a line joins (`zip`, `sample_from_datasets`, `concatenate`), inner ones last."""
    for stage in line:
        lines = [line_of(profile, source.id) for source in profile.stages or () if _is_source_of(source, stage)]
        if lines:
            yield lines
        for inner in lines:
            yield from joined_lines(profile, inner)


def _is_source_of(source: Stage, owner: Stage) -> bool:
    return within(source.id, owner.id) and _SIDE.fullmatch(source.id[len(owner.id) :]) is not None


def within(address: str, owner: str) -> bool:
    """Whether a stage is inside another one: of its functions, or of what it joins."""
    return address.startswith(f"{owner}.")


_SIDE: Final = re.compile(r"\.(?:(?:inputs|datasets)\.\d+|dataset)\.source")
"""A further input is named by its number in a graph, by its argument in a spec."""
_LAST_PART: Final = re.compile(r"(source|stages\.\d+)$")
