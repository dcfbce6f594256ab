"""``cache-in-memory-over-budget``: a cache larger than the memory."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import MoveStage, PipelineEdit, SetArgument
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import EarlierPlace, held, nothing_to_keep, owned, places_below, without
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.constants import CACHE_OVERHEAD_BYTES, RUNTIME_BYTES
from pipeprof.profiles.propose.proposal import Prediction, Proposal, Semantics
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, percent, size

_FILE = "cache/elements"
_MANY_TIMES = 10
"""Times the limit from which a percentage no longer reads well."""


class CacheInMemoryOverBudget(Rule):
    """An in-memory cache that does not fit.

    Seen:
        A cache without a filename whose elements together exceed nine tenths of the memory limit, or what TensorFlow
        itself leaves of it; or a cache of an endless stream.

    Why:
        The cache keeps every element of the first epoch, with about 186 bytes of overhead each. It has no limit:
        AUTOTUNE's memory budget does not count it. The training runs out of memory in the first epoch, before the cache
        serves a single element.

    Fix:
        Cache smaller data: encoded records, or uint8 before the conversion to float; decoding then runs in every epoch.
        Or cache on disk with cache(filename). Put the cache before repeat, not after it.

    Ignore when:
        Only part of an epoch is ever read, so that the cache never reaches its full size.
    """

    name = "cache-in-memory-over-budget"
    title = "Cache smaller data"
    family = "memory"
    semantics = "same"
    thresholds = (
        Threshold("share-of-limit", 0.9, "of the memory limit", "Plumber's mark for a cache that still fits"),
        Threshold("overhead", CACHE_OVERHEAD_BYTES, "bytes per element", "measured with scalars"),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the number and size of the elements."""
        for stage in view.stages:
            below = view.input_of(stage)
            if stage.op != "cache" or stage.arguments.get("filename") or below is None:
                continue
            if view.ever_after(stage, "ends-early", lambda above: traits(above.op).ends_early):
                # How much is read decides how much is kept.
                continue
            if below.elements == INFINITE:
                yield self._endless(view, stage)
            elif view.memory_limit_bytes:
                yield from self._sized(view, stage, below, view.memory_limit_bytes)

    def _sized(self, view: PipelineView, stage: StageView, below: StageView, limit: int) -> Iterable[Proposal]:
        entry = held(view, stage, "cache")
        nbytes: float = entry.bytes if entry is not None else 0
        count: float | None = below.elements if below.elements is not None else below.counted
        row = stage.measured
        if (entry is None or entry.at_least) and row is not None and row.buffered_bytes and row.buffered_elements:
            # How large an element is, or how many there are, is not known: what is there already counts.
            overhead = 0 if owned(view, stage, "cache") else CACHE_OVERHEAD_BYTES
            each = row.buffered_bytes / row.buffered_elements + overhead
            count = row.buffered_elements if count is None or count < row.buffered_elements else count
            nbytes = max(nbytes, each * count)
        if count is None or count < 1 or nbytes <= self._room(view, limit):
            return
        edits, recommendation, after, semantics = self._fix(view, stage, count, limit)
        yield Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} keeps {count:,.0f} elements of {size(nbytes / count)}, {size(nbytes)} in all: "
                f"{_of_limit(nbytes / limit)} the memory limit of {size(limit)}{_beside(view, nbytes, limit)}. "
                "The run is out of memory before the first epoch ends."
            ),
            recommendation=recommendation,
            evidence={
                "cache_bytes": round(nbytes),
                "elements": count,
                "bytes_per_element": nbytes / count,
                "memory_limit_bytes": limit,
            },
            edits=edits,
            predicted=Prediction(
                f"{size(after)} in memory instead of {count:,.0f} × {size(nbytes / count)}",
                peak_rss_delta_bytes=-round(nbytes - after),
            ),
            semantics=semantics,
        )

    def _room(self, view: PipelineView, limit: int) -> float:
        """Bytes that the limit leaves for a cache."""
        return max(0.0, min(self.threshold("share-of-limit") * limit, limit - _runtime(view)))

    def _fix(
        self, view: PipelineView, stage: StageView, count: float, limit: int
    ) -> tuple[tuple[PipelineEdit, ...], str, float, Semantics]:
        """Propose the nearest place where it fits, else the disk."""
        room = self._room(view, limit)
        for place in places_below(view, stage):
            after = count * (place.element_bytes + CACHE_OVERHEAD_BYTES)
            if after <= room and not nothing_to_keep(view, place.below):
                through = listed([stage.label for stage in place.crossed])
                return (
                    (MoveStage(stage.id, stage.op, before=place.before.id),),
                    f"Cache before {through}, where all elements together take {size(after)}. The stages after the "
                    "cache then run in every epoch. Or cache on disk, with a filename.",
                    after,
                    _semantics(place),
                )
        return (
            (SetArgument(stage.id, stage.op, "filename", _FILE),),
            "Cache on disk, with a filename. Or split the function that makes the elements, and cache before they are "
            "decoded or enlarged.",
            0.0,
            "same",
        )

    def _endless(self, view: PipelineView, stage: StageView) -> Proposal:
        repeat = next((other_stage for other_stage in view.below(stage) if _never_ends(view, other_stage)), None)
        target = _lowest_change(view, repeat) if repeat is not None else None
        each = stage.element_bytes
        grows = "It grows"
        if each is not None:
            grows = f"It grows by {size(each + CACHE_OVERHEAD_BYTES)} with every element"
        where = f"{repeat.label} repeats without end" if repeat is not None else "its input has no end"
        return Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} caches an endless stream: {where}. The cache never completes and never serves an "
                f"element. {grows} for as long as the training runs."
            ),
            recommendation=(
                f"Cache before {target.label}, where the data has an end and is the same in every epoch."
                if target is not None
                else "Remove the cache: it cannot serve an element."
            ),
            evidence={
                "endless": True,
                **({"bytes_per_element": each + CACHE_OVERHEAD_BYTES} if each is not None else {}),
                **({"memory_limit_bytes": view.memory_limit_bytes} if view.memory_limit_bytes else {}),
            },
            edits=(MoveStage(stage.id, stage.op, before=target.id) if target is not None else without(stage),),
        )


def _never_ends(view: PipelineView, stage: StageView) -> bool:
    """Whether the stage itself repeats what has an end without one."""
    before = view.input_of(stage)
    return (
        traits(stage.op).repeats and stage.elements == INFINITE and before is not None and before.elements != INFINITE
    )


def _runtime(view: PipelineView) -> int:
    """TensorFlow's own memory."""
    memory = view.profile.memory if view.profile is not None else None
    return (memory.baseline_bytes if memory is not None else None) or RUNTIME_BYTES


def _beside(view: PipelineView, nbytes: float, limit: int) -> str:
    """Name TensorFlow's part of the limit, where the cache alone would fit."""
    return f" (TensorFlow itself takes {size(_runtime(view))} of it)" if nbytes <= limit else ""


def _of_limit(share: float) -> str:
    return f"{percent(share)} of" if share < _MANY_TIMES else f"{share:,.0f} times"


def _lowest_change(view: PipelineView, repeat: StageView) -> StageView | None:
    """The stage to cache before, so that only what is the same in every epoch is kept; ``None`` if that is nothing."""
    target = repeat
    for stage in view.below(repeat):
        random = stage.op == "map" and (stage.function is None or stage.function.random is not False)
        if random or traits(stage.op).shuffles:
            target = stage
    below = view.input_of(target)
    return target if below is not None and not nothing_to_keep(view, below) else None


def _semantics(place: EarlierPlace) -> Semantics:
    """Functions after the cache run in every epoch: ``same`` where none draws random numbers."""
    functions = [stage.function for stage in place.crossed if stage.op == "map"]
    return "same" if all(function is not None and function.random is False for function in functions) else "randomness"
