"""A change that may help: one record for what a rule is sure of, what is only worth a try, and a varied number."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    SetArgument,
    SetEnvironment,
    SetOption,
    new_ops,
)
from pipeprof.pipelines.meaning.traits import traits

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Location
    from pipeprof.profiles.document.findings import Kept, Predicted

Semantics = Literal["same", "order", "randomness", "values"]
SEMANTICS: Final[tuple[Semantics, ...]] = get_args(Semantics)
Redrawn = Literal["order", "randomness"]
Compared = Literal["nothing", Semantics]
"""How data are compared: as a class permits; `nothing` where the edits cannot change them, whatever differs."""
Family = Literal["memory", "speed", "correctness"]
_GIB = 1 << 30


@dataclass(frozen=True)
class Proposal:
    """A change that may help, before it is known whether it does.

    Attributes:
        title: Empty for that of the rule.
        change: The change in one line; empty where the edits say it.
        semantics: What it may change of the data; None for the rule's own, without a rule nothing.
        redrawn: What it changes of what each run draws anew anyway; None for nothing.
        covers: Addresses of all stages that it is about, where that is more than `stage`.
        measured: Steps per second with it over without as an earlier run of the same pipeline measured it, with its
            interval; None without.
        evidence: Numbers behind the sentence, flat; names carry their unit.
        left: The share of a stage's work that is left with it, by address; what is not named stays as it is.
        calls: The calls at a time that a stage has with it, by address.
        cache: What it keeps in memory for later epochs; None for nothing.
        prefetched: Addresses of the stages that it puts a prefetch after.
        location: The user's line; of a rule, where that is not the stage's own.
    """

    title: str = ""
    change: str = ""
    edits: tuple[PipelineEdit, ...] = ()
    semantics: Semantics | None = None
    redrawn: Redrawn | None = None
    family: Family = "speed"
    rule: str | None = None
    stage: str | None = None
    covers: tuple[str, ...] = ()
    predicted: Predicted | None = None
    measured: tuple[float, float, float | None] | None = None
    sentence: str | None = None
    recommendation: str = ""
    evidence: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    change_detail: str | None = None
    in_spec: bool = False
    location: Location | None = None
    left: Mapping[str, float] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    cache: Kept | None = None
    prefetched: tuple[str, ...] = ()

    @property
    def effect(self) -> Semantics:
        """What it may change of the data."""
        return self.semantics or "same"

    @property
    def compared_as(self) -> Compared:
        """The class by which its data are compared with those of the pipeline as it is."""
        if cannot_change_data(self.edits):
            return "nothing"
        return strongest((self.effect, self.redrawn))

    @property
    def speedup(self) -> float | None:
        """Predicted steps per second with it over without; None if unknown."""
        return self.predicted.speedup if self.predicted is not None else None

    @property
    def caches(self) -> bool:
        """Whether it keeps elements in memory that later epochs read: it gains only where all of the data fit."""
        return any(traits(op).stores for op in new_ops(self.edits))

    @property
    def for_memory(self) -> bool:
        """Whether it is to save memory, not time."""
        return self.family == "memory"

    @property
    def stages(self) -> frozenset[str]:
        """Addresses of the stages that it is about."""
        return frozenset(self.covers or ((self.stage,) if self.stage is not None else ()))

    @property
    def key(self) -> str:
        """What it is on any version of the pipeline: stages have other addresses there, and are in the same inputs."""
        ops = sorted(getattr(edit, "op", type(edit).__name__) for edit in self.edits)
        inputs = sorted(set(_INPUT.findall(str(self.edits))))
        return f"{self.title}|{self.change}|{','.join(ops)}|{','.join(inputs)}"


_INPUT = re.compile(r"(?:datasets|inputs)\.\d+")
"""In an address: one of several joined pipelines."""


def strongest(classes: Iterable[Semantics | None]) -> Semantics:
    """The class of several changes together."""
    return max(filter(None, classes), key=SEMANTICS.index, default="same")


def most_redrawn(changes: Iterable[Redrawn | None]) -> Redrawn | None:
    """What several changes together change of what each run draws anew anyway."""
    return max(filter(None, changes), key=SEMANTICS.index, default=None)


def different(proposals: Iterable[Proposal]) -> Iterator[Proposal]:
    """Leave out those that do what an earlier one does."""
    seen: list[tuple[PipelineEdit, ...]] = []
    for proposal in proposals:
        if proposal.edits not in seen:
            seen.append(proposal.edits)
            yield proposal


def cannot_change_data(edits: Sequence[PipelineEdit]) -> bool:
    """Whether no edit can change an element or the order: all are about prefetching, threads and the process.

    Example:
        >>> cannot_change_data([InsertStage("prefetch", {}, "stages.0")]), cannot_change_data([])
        (True, False)
    """
    return bool(edits) and all(
        _is_of_process(edit) or (isinstance(edit, InsertStage | MoveStage | SetArgument) and traits(edit.op).prefetches)
        for edit in edits
    )


def tunes_process(edits: Sequence[PipelineEdit]) -> bool:
    """Whether edits leave what the stages do as it is: threads, the allocator, one call at a time."""
    return bool(edits) and all(
        _is_of_process(edit)
        or (isinstance(edit, SetArgument) and edit.value is None)
        or (isinstance(edit, SetOption) and edit.path == _PARALLEL and not edit.value)
        for edit in edits
    )


_PARALLEL = "experimental_optimization.map_parallelization"


def _is_of_process(edit: PipelineEdit) -> bool:
    return isinstance(edit, SetEnvironment) or (isinstance(edit, SetOption) and edit.path.startswith("threading."))


def effort(edits: Sequence[PipelineEdit]) -> tuple[bool, bool, bool, float]:
    """Sort key of edits, simplest first: tunes the process, keeps data in memory, adds stages, number of edits.

    Example:
        >>> effort([InsertStage("cache", {}, "stages.0"), InsertStage("shuffle", {"buffer_size": 9}, "stages.0")])
        (False, True, True, 2)
    """
    new = new_ops(edits)
    return tunes_process(edits), any(traits(op).retains for op in new), bool(new), len(edits)


UNKNOWN_GAIN = 1.1
"""Factor that a change is taken to give where no prediction knows it: what is predicted to help more comes before."""


def expected_of(proposal: Proposal, peak: int | None = None) -> float:
    """What a change is expected to gain, on the scale of `value_of`; a little where nothing is known of its speed."""
    predicted = proposal.predicted
    saved = -(predicted.peak_rss_delta_bytes or 0) if predicted is not None else 0
    speedup = UNKNOWN_GAIN if proposal.speedup is None and not proposal.for_memory else proposal.speedup
    return value_of(speedup, saved, peak)


def value_of(speedup: float | None, saved: float, peak: float | None = None) -> float:
    """An effect on one scale for speed and memory: twice the speed equals half the peak; 0 where nothing is gained.

    Args:
        peak: Bytes that the saving is a part of; a gibibyte more than it if not known.

    Example:
        >>> round(value_of(2.0, 0), 3), round(value_of(None, 500, 1000), 3)
        (0.693, 0.693)
    """
    speed = math.log(speedup) if speedup is not None and speedup > 1 else 0.0
    if saved <= 0:
        return speed
    return max(speed, -math.log(1 - min(saved / (peak or saved + _GIB), 0.999)))
