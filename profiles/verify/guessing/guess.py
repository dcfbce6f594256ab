"""What may help: edits that are not reported unless they were measured to help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pipeprof.pipelines.edits.edits import PipelineEdit
from pipeprof.profiles.advise.rule import Semantics
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.document.stages import Stage


@dataclass(frozen=True)
class Guess:
    """Edits to try.

    Attributes:
        python: The Python to write by hand.
        semantics: What they may change of the data.
        at: Address of the stage that they are about.
        predicted: What they give, where a measurement shows it, and not the model.
    """

    title: str
    change: str
    edits: tuple[PipelineEdit, ...]
    python: str
    semantics: Semantics = "same"
    at: str = ""
    predicted: Predicted | None = None


Caches: TypeAlias = Callable[[Sequence[Stage], int], Iterable[Guess]]
"""Caches of what the stage at a place of a line gives, or a later one."""
