"""``shuffle-buffer-bytes``: a shuffle buffer of many large elements."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from pipeprof.pipelines.changes.edits import HandWritten, MoveStage, PipelineEdit, SetArgument
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import (
    BYTES,
    MEMORY_GATE,
    SHARE_OF_LIMIT,
    EarlierPlace,
    held,
    owned,
    places_below,
    regrouped,
    weigh,
)
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.constants import POOLED_FROM
from pipeprof.profiles.memory.predict.model import BufferPrediction, shuffle_overhead_bytes
from pipeprof.profiles.memory.predict.predict import counted, small_bytes
from pipeprof.profiles.memory.predict.shared_tensors import giver, own_components
from pipeprof.profiles.propose.disorder import describe_order
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.time.memory_problem import LARGE_BYTES, LARGE_SHARE
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, place_of, size, stage_name

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import LedgerEntry

_Evidence: TypeAlias = "dict[str, float | int | str | bool]"


@dataclass(frozen=True)
class _Buffer:
    """The buffer of a shuffle; `at_most` if the data may be shorter than the buffer; all `copies` of a nested one."""

    stage: StageView
    nbytes: float
    elements: float
    at_most: bool
    measured: bool
    copies: int = 1

    @property
    def each(self) -> float:
        return self.nbytes / (self.copies * self.elements)

    @property
    def words(self) -> str:
        """Number of elements for a sentence, copies included."""
        return f"{f'{self.copies} × ' if self.copies > 1 else ''}{self.elements:,.0f}"


@dataclass(frozen=True)
class _Move:
    """The shuffle in another place."""

    place: EarlierPlace
    elements: float
    each: float
    batch: StageView | None
    copies: int = 1

    @property
    def nbytes(self) -> float:
        return self.copies * self.elements * self.each

    @property
    def words(self) -> str:
        return f"{f'{self.copies} × ' if self.copies > 1 else ''}{self.elements:,.0f}"


class ShuffleBufferBytes(Rule):
    """A shuffle with a buffer of many bytes.

    Seen:
        A shuffle keeps min(buffer_size, number of elements) elements, and they are a large part of the worker's memory.
        Slices of an in-memory array do not count: the buffer only refers to them.

    Why:
        A shuffle fills its whole buffer before it outputs the first element, and keeps it full: 1,000 images of
        224x224x3 float32 are 611 MB, and 100 batches of 32 of them 1.9 GB. Neither AUTOTUNE's memory budget nor a
        container's limit applies to it.

    Fix:
        Shuffle small elements and load them afterwards: file names, indices or encoded records, before the map that
        decodes them. The buffer then takes almost no memory and may cover all of the data, and the first element no
        longer waits until the whole buffer is decoded. Without such a place, a smaller buffer saves memory and mixes
        less.

    Ignore when:
        There is enough memory, and the order of the elements must stay the same.
    """

    name = "shuffle-buffer-bytes"
    title = "Shuffle small elements"
    family = "memory"
    semantics = "order"
    thresholds = (
        *MEMORY_GATE,
        Threshold("enlargement", 10, "times", "a map that makes less of an element does not pay for a new order"),
        Threshold("small-element", 64, "bytes", "the cost there is the overhead of 169 bytes per element"),
        Threshold("small-elements", 1_000_000, "elements", "up to 180 MB buy a full shuffle of that many indices"),
        Threshold("batches-in-buffer", 10, "batches", "below it batches from sorted data hold few classes"),
        Threshold("worthwhile-part", 0.75, "of the buffer", "a buffer that would stay larger is not worth changing"),
        Threshold(
            "large-bytes", LARGE_BYTES, "bytes", "from here on a buffer is reported that mixes no more than needed"
        ),
        Threshold("large-share", LARGE_SHARE, "of the memory limit", "the same, whatever the bytes"),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by buffer size, number and size of the elements."""
        for stage in _shuffles(view):
            predicted = self._predicted(view, stage)
            if predicted is not None and weigh(predicted.nbytes, view).matters:
                yield from self._draft(view, predicted)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the bytes that TensorFlow's model counted in the buffer, else by the prediction."""
        for stage in _shuffles(view):
            buffer = self._measured(view, stage)
            if stage.measured is None or stage.measured.buffered_bytes is None:
                buffer = self._predicted(view, stage)
            if buffer is not None and weigh(buffer.nbytes, view).matters:
                yield from self._draft(view, buffer)

    def _predicted(self, view: PipelineView, stage: StageView) -> _Buffer | None:
        entry, below, buffer = held(view, stage, "shuffle"), view.input_of(stage), stage.arguments.get("buffer_size")
        if entry is None or below is None or not isinstance(buffer, int):
            return None
        count = min(buffer, below.elements) if below.elements is not None and below.elements > 0 else buffer
        if count < 1 or self._few(below.element_bytes, count) or _out_of_reach(view, entry):
            return None
        copies = max(1, round((entry.count or count) / count))
        return _Buffer(stage, entry.bytes, count, entry.at_most, measured=False, copies=copies)

    def _measured(self, view: PipelineView, stage: StageView) -> _Buffer | None:
        row, below = stage.measured, view.input_of(stage)
        if row is None or not row.buffered_bytes or not row.buffered_elements:
            return None
        overhead = shuffle_overhead_bytes(1)
        if below is not None:
            components = own_components(view, below)
            overhead = shuffle_overhead_bytes(components, small_bytes(view, below), counted=counted(view, below))
        if owned(view, stage, "shuffle"):
            # The ledger's number, which the table of stages has, too; it counts more of an element than its values.
            if self._few(row.buffered_bytes / row.buffered_elements - overhead, row.buffered_elements):
                return None
            return _Buffer(stage, row.buffered_bytes, row.buffered_elements, at_most=False, measured=True)
        nbytes = row.buffered_bytes + overhead * row.buffered_elements
        if self._few(row.buffered_bytes / row.buffered_elements, row.buffered_elements):
            return None
        entry, full = held(view, stage, "shuffle"), self._predicted(view, stage)
        if full is not None and not full.at_most and full.elements > row.buffered_elements and row.depth == 0:
            # It was full before the first element came out; the run was read while it emptied at the end of an epoch.
            filled = min(nbytes * full.elements / row.buffered_elements, full.nbytes)
            if filled <= (weigh(filled, view).peak_bytes or 0):
                return _Buffer(stage, filled, full.elements, at_most=False, measured=True)
        if entry is not None and below is not None and below.element_bytes is not None:
            # The model counts views of an array as if they were copies.
            nbytes = min(nbytes, entry.bytes)
        return _Buffer(stage, nbytes, row.buffered_elements, at_most=False, measured=True)

    def _few(self, each: float | None, count: float) -> bool:
        """Whether these are indices or labels, and not too many of them."""
        small = each is not None and each < self.threshold("small-element")
        return small and count <= self.threshold("small-elements")

    def _draft(self, view: PipelineView, buffer: _Buffer) -> Iterable[Proposal]:
        stage, weight = buffer.stage, weigh(buffer.nbytes, view)
        move = self._place(view, buffer)
        compared = weight.words()
        kind = "batches" if _batch_below(view, stage) is not None else "elements"
        sentence = (
            f"{stage.label} holds {'up to ' if buffer.at_most else ''}{buffer.words} {kind} of "
            f"{size(buffer.each)}, {size(buffer.nbytes)} in all{f': {compared}' if compared else ''}. It fills before "
            "it outputs the first element, and stays full."
        )
        evidence: _Evidence = {
            "buffer_bytes": round(buffer.nbytes),
            "buffered_elements": buffer.copies * buffer.elements,
            "bytes_per_element": buffer.each,
            "measured": buffer.measured,
            **weight.evidence(),
        }
        if move is not None:
            yield self._moved(view, buffer, move, sentence, evidence)
            return
        smaller = self._permutation(view, buffer) is not None or not self._needed(view, buffer)
        if smaller or stage.op != "shuffle" or self._large(view, buffer):
            yield self._smaller(view, buffer, sentence, evidence)

    def _large(self, view: PipelineView, buffer: _Buffer, elements: float | None = None) -> bool:
        """Whether the bytes are too many even for a buffer that mixes no more than needed."""
        nbytes = buffer.nbytes if elements is None else buffer.copies * elements * buffer.each
        limit = view.memory_limit_bytes
        return nbytes >= self.threshold("large-bytes") or (
            limit is not None and nbytes >= self.threshold("large-share") * limit
        )

    def _needed(self, view: PipelineView, buffer: _Buffer) -> bool:
        """Whether a smaller buffer is not worth it: it would mix too few batches."""
        wanted = self._enough(view, buffer.stage, buffer.copies * buffer.each)
        return wanted > self.threshold("worthwhile-part") * buffer.elements

    def _enough(self, view: PipelineView, stage: StageView, each: float, batch: StageView | None = None) -> int:
        """Largest number of elements whose bytes do not matter, but at least ten batches."""
        room = BYTES.value
        if view.memory_limit_bytes:
            room = min(room, SHARE_OF_LIMIT.value * view.memory_limit_bytes)
        batches = (above for above in ((batch,) if batch is not None else view.above(stage)) if traits(above.op).stacks)
        mixed = round(self.threshold("batches-in-buffer") * next((_size(stage) for stage in batches), 1))
        return max(math.ceil(room / each) - 1, mixed, 1)

    def _place(self, view: PipelineView, buffer: _Buffer) -> _Move | None:
        """The place where it would hold least; one before batches only if there is no other."""
        batches = not regrouped(view, buffer.stage)
        moves = [self._move(view, buffer, place) for place in places_below(view, buffer.stage, batches=batches)]
        least, part = self.threshold("enlargement"), self.threshold("worthwhile-part")
        good = [
            move
            for move in moves
            if move.nbytes <= part * buffer.nbytes
            and (move.batch is not None or move.place.element_bytes * least < buffer.each)
        ]
        same = [move for move in good if move.batch is None]
        return min(same or good, key=lambda move: move.nbytes, default=None)

    def _move(self, view: PipelineView, buffer: _Buffer, place: EarlierPlace) -> _Move:
        batch = next((stage for stage in place.crossed if traits(stage.op).stacks), None)
        elements = buffer.elements
        if batch is not None:
            # As many single elements as there were batches would mix too little.
            elements = max(elements, self.threshold("batches-in-buffer") * _size(batch))
        components = own_components(view, place.below)
        each = place.element_bytes + shuffle_overhead_bytes(components, small_bytes(view, place.below))
        move = _Move(place, elements, each, batch, buffer.copies)
        weight = weigh(move.nbytes, view)
        peak = weight.peak_bytes + move.nbytes - buffer.nbytes if weight.peak_bytes is not None else None
        if buffer.stage.op == "shuffle" and replace(weight, peak_bytes=peak).matters:
            # Smaller elements alone are not enough.
            enough = self._enough(view, buffer.stage, buffer.copies * each, batch)
            if enough <= self.threshold("worthwhile-part") * elements:
                return replace(move, elements=enough)
        return move

    def _moved(self, view: PipelineView, buffer: _Buffer, move: _Move, sentence: str, evidence: _Evidence) -> Proposal:
        stage, place = buffer.stage, move.place
        giver_ = giver(view, place.below)
        names = giver_ is not None and giver_.op == "list_files"
        title = "Shuffle file names, not elements" if names else f"Shuffle before {stage_name(place.before)}"
        through = listed([stage.label for stage in place.crossed])
        edits: tuple[PipelineEdit, ...] = (MoveStage(stage.id, stage.op, before=place.before.id),)
        # File names have no size before they are seen.
        about, counted = "about " if place.below.element_bytes is None else "", ""
        if stage.op == "shuffle" and (move.batch is not None or move.elements != buffer.elements):
            edits = (SetArgument(stage.id, stage.op, "buffer_size", round(move.elements)), *edits)
            counted = f", with a buffer of {move.elements:,.0f} elements"
        return Proposal(
            stage=stage.id,
            sentence=f"{sentence} Before {place.before.label} an element is {about}{size(place.element_bytes)}.",
            title=title,
            recommendation=(
                f"Move the shuffle before {through}{counted}: it then holds {size(move.nbytes)}, and the first element "
                "arrives sooner."
            ),
            evidence={**evidence, "bytes_per_element_there": place.element_bytes},
            edits=edits,
            predicted=Prediction(
                f"{move.words} × {size(move.each)} - {buffer.words} × {size(buffer.each)}"
                f"{_heap_words(view, buffer, move)}",
                peak_rss_delta_bytes=round(move.nbytes - buffer.nbytes),
            ),
            semantics="randomness"
            if move.elements < buffer.elements and place.semantics == "order"
            else place.semantics,
            change_detail=f"{move.words} × {size(move.each)} instead of {buffer.words} × {size(buffer.each)}",
        )

    def _permutation(self, view: PipelineView, buffer: _Buffer) -> HandWritten | None:
        """For a full shuffle of all indices of a range."""
        below = view.input_of(buffer.stage)
        if (
            below is None
            or not traits(below.op).generates_numbers
            or below.elements is None
            or buffer.stage.op != "shuffle"
        ):
            return None
        plain = below.arguments.get("start", 0) == 0 and below.arguments.get("step", 1) == 1
        whole = 0 < below.elements <= buffer.elements
        return _permutation(buffer.stage, below.elements) if plain and whole else None

    def _smaller(self, view: PipelineView, buffer: _Buffer, sentence: str, evidence: _Evidence) -> Proposal:
        stage = buffer.stage
        permuted = self._permutation(view, buffer)
        if permuted is not None:
            return Proposal(
                stage=stage.id,
                sentence=f"{sentence} Nearly all of that is overhead: an index itself takes 8 bytes.",
                recommendation=(
                    "Compute the order instead of storing it: index_shuffle gives the place of each index in a "
                    "permutation of all of them, without a buffer, for whole batches of indices."
                ),
                evidence=evidence,
                edits=(permuted,),
                predicted=Prediction(
                    f"-{buffer.elements:,.0f} × {size(buffer.each)}", peak_rss_delta_bytes=-round(buffer.nbytes)
                ),
                semantics="randomness",
            )
        wanted = self._enough(view, stage, buffer.copies * buffer.each)
        if stage.op != "shuffle" or self._needed(view, buffer) or self._large(view, buffer, wanted):
            return Proposal(
                stage=stage.id,
                sentence=sentence,
                recommendation=(
                    "Shuffle something smaller, such as file names or indices, and load the elements after "
                    "that. A buffer that is small enough would mix less than ten batches."
                ),
                evidence=evidence,
            )
        return Proposal(
            stage=stage.id,
            sentence=sentence,
            recommendation=(
                "Shuffle file names or indices before the elements are loaded, if the source has any. Otherwise use a "
                f"smaller buffer, {wanted:,} elements ({size(buffer.copies * wanted * buffer.each)}), which mixes "
                f"less: {_order(view, stage, wanted)}, instead of {_order(view, stage, round(buffer.elements))}."
            ),
            change_detail=_order(view, stage, wanted),
            evidence=evidence,
            edits=(SetArgument(stage.id, stage.op, "buffer_size", wanted),),
            predicted=Prediction(
                f"{f'{buffer.copies} × ' if buffer.copies > 1 else ''}({wanted:,} - {buffer.elements:,.0f}) × "
                f"{size(buffer.each)}",
                peak_rss_delta_bytes=-round(buffer.copies * (buffer.elements - wanted) * buffer.each),
            ),
            semantics="randomness",
        )


def _order(view: PipelineView, stage: StageView, buffer: int) -> str:
    """How well a buffer of so many elements mixes those that the stage gets."""
    below, batch = view.input_of(stage), _batch_below(view, stage)
    together = _size(batch) if batch is not None else 1
    elements = below.elements if below is not None and below.elements is not None else -1
    return describe_order(buffer, elements * together if elements > 0 else None, together)


def _out_of_reach(view: PipelineView, entry: BufferPrediction) -> bool:
    """Whether a whole run never had the bytes of a buffer whose number of elements is unknown."""
    memory = view.profile.memory if view.profile is not None and not view.profile.errors else None
    return entry.at_most and memory is not None and entry.bytes > (memory.peak_bytes or entry.bytes)


def _shuffles(view: PipelineView) -> list[StageView]:
    return [stage for stage in view.stages if traits(stage.op).shuffles and not stage.injected]


def _heap_words(view: PipelineView, buffer: _Buffer, move: _Move) -> str:
    """A remark on memory of replaced elements that the allocator keeps; empty where there is little."""
    sizes = [component.nbytes for component in (view.input_of(buffer.stage) or buffer.stage).element or ()]
    memory = view.profile.memory if view.profile is not None else None
    free = next((entry.bytes for entry in (memory.ledger if memory else None) or () if _is_heap(entry)), 0)
    in_heap = bool(sizes) and all(size is not None and size < POOLED_FROM for size in sizes)
    if not in_heap or free < BYTES.value or free < buffer.nbytes - move.nbytes:
        return ""
    return f"; in addition a part of the {size(free)} that elements of the buffer left freed in the allocator"


def _is_heap(entry: LedgerEntry) -> bool:
    return entry.owner == "slack" and entry.what == "glibc's heap"


def _permutation(stage: StageView, count: int) -> HandWritten:
    """A computed permutation of ``count`` indices, which a spec expresses only in Python."""
    return HandWritten(
        (stage.id,),
        yaml="\n".join(
            [
                f"- batch: {{batch_size: 1024}}   # {stage.id}: three stages instead of the shuffle",
                '- map: {python: "order.py:shuffled"}',
                "- unbatch: {}",
            ]
        ),
        python=(
            "def shuffled(index):  # another seed in each epoch gives another order\n"
            f"    return tf.random.experimental.index_shuffle(index, seed=[1, 2, 3], max_index={count - 1})\n"
            f"dataset = dataset.batch(1024).map(shuffled).unbatch()  # {place_of(stage.location) or stage.id}"
        ),
        summary="replace {stage} with a permutation that index_shuffle computes",
    )


def _size(batch: StageView) -> int:
    found = batch.arguments.get("batch_size")
    return found if isinstance(found, int) and found > 0 else 1


def _batch_below(view: PipelineView, stage: StageView) -> StageView | None:
    one = view.input_of(stage)
    while one is not None and (traits(one.op).maps or traits(one.op).prefetches):
        one = view.input_of(one)
    return one if one is not None and traits(one.op).stacks else None
