"""When bytes matter, their share in words, where a stage would hold fewer, and how well a smaller shuffle mixes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pipeprof.pipelines.changes.edits import ReplaceStages
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.proposal import Semantics
from pipeprof.profiles.document.base import Owner
from pipeprof.profiles.memory.element_size import element_size, giver
from pipeprof.profiles.memory.predict import BufferPrediction, memory_prediction
from pipeprof.profiles.view.view import PipelineView, StageView, owners
from pipeprof.profiles.wording import percent, size

BYTES: Final = 100_000_000
"""Below it no change is worth the trouble, whatever its share of a small process."""
SHARE_OF_PEAK: Final = 0.10
"""Of the worker's own peak above TensorFlow's runtime: what fresh processes tell apart. Bytes matter from both on."""
SHARE_OF_LIMIT: Final = 0.05
"""Of the memory limit: from here on alone, at any peak, since the limit is what ends a training."""
_NEARLY_ALL = 0.95


@dataclass(frozen=True)
class Weight:
    """Bytes compared with the peak above TensorFlow's runtime, measured or predicted, and with the memory limit."""

    nbytes: float
    peak_bytes: float | None
    limit_bytes: int | None
    predicted: bool

    @property
    def matters(self) -> bool:
        """Whether they are worth a word."""
        if self.limit_bytes and self.nbytes >= SHARE_OF_LIMIT * self.limit_bytes:
            return True
        if self.peak_bytes is None or self.nbytes < BYTES:
            return False
        return self.nbytes >= SHARE_OF_PEAK * self.peak_bytes

    def words(self, nbytes: float | None = None) -> str:
        """Their share, or that of other bytes, for a sentence; empty if there is nothing to compare with."""
        shown = self.nbytes if nbytes is None else nbytes
        # Bytes that matter only because of the limit are compared with the limit.
        least = SHARE_OF_PEAK * self.peak_bytes if self.peak_bytes and self.limit_bytes else 0.0
        if self.peak_bytes and least <= shown <= self.peak_bytes:
            share = percent(shown / self.peak_bytes)
            if self.predicted and shown > _NEARLY_ALL * self.peak_bytes:
                return "nearly all that the pipeline is predicted to need"
            if self.predicted:
                return f"{share} of the {size(self.peak_bytes)} that the pipeline is predicted to need"
            return f"{share} of the {size(self.peak_bytes)} that the worker took above TensorFlow itself"
        if self.limit_bytes:
            return f"{percent(shown / self.limit_bytes)} of the memory limit of {size(self.limit_bytes)}"
        return ""

    def evidence(self) -> dict[str, float | int | str | bool]:
        """Reference values as evidence of a finding."""
        found: dict[str, float | int | str | bool] = {}
        if self.peak_bytes is not None:
            name = "predicted_peak_bytes" if self.predicted else "peak_above_runtime_bytes"
            found[name] = round(self.peak_bytes)
        if self.limit_bytes is not None:
            found["memory_limit_bytes"] = self.limit_bytes
        return found


def weigh(nbytes: float, view: PipelineView) -> Weight:
    """Compare bytes with the measured peak; where no step was measured, with the predicted one."""
    memory = view.profile.memory if view.profile is not None and view.profile.shows_memory else None
    if memory is not None and memory.peak_bytes:
        # Without a baseline the whole peak stands in for it: the share can only come out too small.
        peak = memory.peak_bytes - (memory.baseline_bytes or 0)
        return Weight(nbytes, max(peak, 0), view.memory_limit_bytes, predicted=False)
    total = memory_prediction(view).peak_bytes
    return Weight(nbytes, max(total, nbytes), view.memory_limit_bytes, predicted=True)


def held(view: PipelineView, stage: StageView, owner: Owner) -> BufferPrediction | None:
    """The predicted buffer of a stage as one owner; ``None`` if unknown."""
    predicted = memory_prediction(view).by_stage.get(stage.id, ())
    return next((prediction for prediction in predicted if prediction.owner == owner), None)


def owned(view: PipelineView, stage: StageView, owner: Owner) -> bool:
    """Whether the measured ledger of memory says what a stage held as one owner."""
    memory = view.profile.memory if view.profile is not None else None
    entries = memory.ledger if memory is not None else None
    return any(entry.stage == stage.id and entry.owner == owner for entry in entries or ())


def in_function(view: PipelineView, stage: StageView) -> bool:
    """Whether a stage is rebuilt whenever a function runs; the side of a `zip` is not."""
    return any(not traits(owner.op).combines for owner in owners(view, stage))


def upstream(
    view: PipelineView, stage: StageView, ends: Callable[[StageView], bool] = lambda _: False
) -> list[StageView]:
    """All stages that elements come through to `ends`, nearest first, those in functions after their owner."""
    found: dict[str, StageView] = {}
    for before in view.below(stage, ends):
        found[before.id] = before
        for inner in view.inside(before):
            found.setdefault(inner.id, inner)
    return list(found.values())


def regrouped(view: PipelineView, stage: StageView) -> bool:
    """Whether a later stage splits or regroups the elements, also in the pipeline around a nested one."""
    # An owner itself only passes on the output of its function.
    around = (stage, *owners(view, stage))
    return any(view.ever_after(stage, "regroups", lambda above: traits(above.op).regroups) for stage in around)


@dataclass(frozen=True)
class EarlierPlace:
    """An earlier place where a stage could be, past others (nearest first), with the bytes of an element there."""

    before: StageView
    below: StageView
    element_bytes: float
    crossed: tuple[StageView, ...]

    @property
    def semantics(self) -> Semantics:
        """Effect on the data of moving a reordering stage before the crossed ones."""
        if any(traits(stage.op).stacks for stage in self.crossed):
            return "values"
        random = any(stage.function is not None and stage.function.random for stage in self.crossed)
        return "randomness" if random else "order"


def places_below(view: PipelineView, stage: StageView, *, batches: bool = False) -> Iterator[EarlierPlace]:
    """Places that only maps and prefetches lie between, nearest first, where the size of an element is known.

    Nothing else is crossed: a filter, a cache or a take would be given other elements.
    """
    crossed: list[StageView] = []
    one = view.input_of(stage)
    while one is not None and one not in crossed and _crosses(one, batches=batches):
        crossed.append(one)
        below = view.input_of(one)
        if below is None:
            return
        size_there = element_size(view, below)
        if one.op != "prefetch" and size_there is not None and not size_there.partial:
            yield EarlierPlace(one, below, size_there.bytes, tuple(crossed))
        one = below


def nothing_to_keep(view: PipelineView, stage: StageView) -> bool:
    """Whether a stage's output costs nothing to make again: indices, names, slices of an array."""
    return bool(traits(giver(view, stage).op).cheap)


def without(stage: StageView) -> ReplaceStages:
    """The edit that removes a stage."""
    return ReplaceStages((stage.id,))


def _crosses(stage: StageView, *, batches: bool) -> bool:
    row = traits(stage.op)
    return row.maps or row.prefetches or (batches and row.stacks)


def order_entropy(buffer: int, elements: int, together: int = 1) -> float:
    """Return how much of a full shuffle's disorder a shuffle of a buffer gives, 0 to 1.

    A buffer of B units draws each unit that comes next from B ones with equal chances, until the last B are left. Of M
    = elements / together units that is an entropy of

        H(B, M) = (M - B) * log2(B) + log2(B!)     bits,    B = min(buffer, M)

    for the neighbour that follows each one, all neighbours together; a full shuffle of N single elements has log2(N!).
    The result is H(B, M) / log2(N!). `together` elements stay neighbours: the size of a batch that is shuffled as a
    whole.

    Example:
        >>> order_entropy(1000, 1000), order_entropy(1, 1000), round(order_entropy(100, 10_000), 2)
        (1.0, 0.0, 0.56)
    """
    units = max(elements // max(together, 1), 1)
    drawn = max(min(buffer, units), 1)
    if elements < 2:
        return 1.0
    return ((units - drawn) * math.log(drawn) + math.lgamma(drawn + 1)) / math.lgamma(elements + 1)


def describe_order(buffer: int, elements: int | None, together: int = 1) -> str:
    """State how far an element can move with a buffer, and how well neighbours are mixed.

    An element comes at most the buffer's length earlier than it is read, less the one place that it takes itself.
    Without a number of elements of a pass, the share is not known.

    Example:
        >>> describe_order(100, 10_000)
        'an element moves ahead by at most 99 of 10,000 places, neighbours are mixed 56 % as well as by a full shuffle'
    """
    if elements is None or elements < 1:
        return f"an element moves ahead by at most {(buffer - 1) * together:,} places"
    if buffer >= elements and together == 1:
        return f"a full shuffle: each order of the {elements:,} elements is as likely"
    far = (min(buffer, max(elements // together, 1)) - 1) * together
    mixed = percent(order_entropy(buffer, elements, together))
    return (
        f"an element moves ahead by at most {far:,} of {elements:,} places, neighbours are mixed {mixed} as well as by "
        "a full shuffle"
    )
