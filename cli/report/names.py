"""Names, numbers and shares of stages in tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeprof.profiles.wording import stage_name

if TYPE_CHECKING:
    from pipeprof.profiles.document.stages import Stage


def number_of(stage_id: str) -> str:
    """A stage's address as short as it stays unambiguous: ``stages.1.stages.0`` is ``1.0``, ``source`` stays.

    The sides of a stage with several inputs stand behind a slash.

    Example:
        >>> number_of("stages.1.source"), number_of("source.inputs.0.stages.1"), number_of("injected.0")
        ('1.source', 'source/0.1', '+')
    """
    if stage_id.startswith("injected"):
        return "+"
    parts = (part for part in stage_id.removeprefix("running.").split(".") if part != "stages")
    return ".".join(parts).replace(".inputs.", "/").replace(".datasets.", "/")


def name_row(stage: Stage) -> str:
    """A stage as tables name it: ``decode (map)``, or the op alone."""
    return f"{stage_name(stage)} ({stage.op})" if stage.name and stage.name != stage.op else stage.op


def name_alone(stage: Stage) -> str:
    """Name a stage as its row does: those that a library makes for one call of the user's have rows of their own."""
    return stage.name or stage.op if stage.library is not None else stage_name(stage)


def name_rows(stages: Sequence[Stage] | None) -> dict[str, str]:
    """The names of all stages by id; a number goes with those that share a name."""
    names = [name_row(stage) for stage in stages or ()]
    return {
        stage.id: f"{name}, {number_of(stage.id)}" if names.count(name) > 1 and stage.id != "source" else name
        for stage, name in zip(stages or (), names, strict=True)
    }


def write_share(share: float | None) -> str:
    """A share as whole percent, ``<1 %`` below half a percent.

    Example:
        >>> write_share(0.957), write_share(0.001), write_share(None)
        ('96 %', '<1 %', '')
    """
    if share is None:
        return ""
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"
