"""``cache-smaller-elements``: a cache of what cheap functions make of much smaller elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeprof.pipelines.changes.edits import MoveStage
from pipeprof.profiles.advise.byte_gate import MEMORY_GATE, EarlierPlace, nothing_to_keep, places_below, weigh
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.constants import CACHE_OVERHEAD_BYTES
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, size

_JPEG = "DecodeJpeg"
_SMALLER = ("Resize", "Crop", "Slice", "Glimpse")
"""Parts of the names of ops that give a part of a picture, or one of another size."""


class CacheSmallerElements(Rule):
    """A cache of what functions make of much smaller elements.

    Seen:
        A cache in memory keeps many bytes, and the maps right before it, which draw no random numbers, make each of its
        elements of a fraction of these bytes.

    Why:
        A decoded picture takes 10 to 20 times the bytes of its file, and four times that as float32. Where the step
        takes longer than decoding, or cores are free, a cache of the records is as fast: a picture of 224x224 takes 1
        to 2 ms to decode on one core.

    Fix:
        Put the cache before these maps, which then run in every epoch.

    Ignore when:
        There is enough memory, or the cores are needed for something else.
    """

    name = "cache-smaller-elements"
    title = "Cache smaller elements"
    family = "memory"
    semantics = "same"
    yields_to = ("cache-in-memory-over-budget",)
    reports_untried = False
    thresholds = (
        *MEMORY_GATE,
        Threshold("encoded", 0.15, "of the bytes", "that a JPEG file takes at most, of its picture"),
        Threshold("enlargement", 4, "times", "a map that makes less of an element saves little by running again"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the bytes in the cache and those of an element before it."""
        for stage in view.stages:
            row = stage.measured
            if stage.op != "cache" or stage.arguments.get("filename") or row is None:
                continue
            nbytes, count = row.buffered_bytes, row.buffered_elements
            if not nbytes or not count or not weigh(nbytes, view).matters:
                continue
            places = [*places_below(view, stage), *self._encoded(view, stage, nbytes / count)]
            place = next((place for place in places if self._is_smaller(view, place, nbytes / count)), None)
            if place is not None:
                yield _proposal(stage, place, nbytes, count)

    def _encoded(self, view: PipelineView, stage: StageView, each: float) -> Iterator[EarlierPlace]:
        """The place before a map that decodes whole pictures: nothing has passed there since the cache is complete.

        Of what a function then makes smaller, a file may take more.
        """
        before = view.input_of(stage)
        below = view.input_of(before) if before is not None else None
        ops = before.function.ops if before is not None and before.function is not None else None
        if before is None or below is None or not ops or "ReadFile" in ops or below.element_bytes is not None:
            return
        decodes = {op for op in ops if op.startswith("Decode")}
        if decodes == {_JPEG} and not any(part in op for op in ops for part in _SMALLER):
            yield EarlierPlace(before, below, self.threshold("encoded") * each, (before,))

    def _is_smaller(self, view: PipelineView, place: EarlierPlace, each: float) -> bool:
        functions = [stage.function for stage in place.crossed if stage.op == "map"]
        again = all(one is not None and one.random is False and not one.python for one in functions)
        after = place.element_bytes + CACHE_OVERHEAD_BYTES
        return again and after * self.threshold("enlargement") <= each and not nothing_to_keep(view, place.below)


def _proposal(stage: StageView, place: EarlierPlace, nbytes: float, count: float) -> Proposal:
    through = listed([one.label for one in place.crossed if one.op == "map"])
    after = count * (place.element_bytes + CACHE_OVERHEAD_BYTES)
    about = "about " if place.below.element_bytes is None else ""
    return Proposal(
        stage=stage.id,
        title=f"Cache {about}{size(after)}, not {size(nbytes)}",
        sentence=(
            f"{stage.label} keeps {count:,.0f} elements of {size(nbytes / count)}, {size(nbytes)} in all. Before "
            f"{through} an element is {about}{size(place.element_bytes)}."
        ),
        recommendation=f"Put the cache before {through}, which then runs in every epoch.",
        evidence={
            "cache_bytes": round(nbytes),
            "elements": count,
            "bytes_per_element": nbytes / count,
            "bytes_per_element_there": place.element_bytes,
        },
        edits=(MoveStage(stage.id, stage.op, before=place.before.id),),
        predicted=Prediction(
            f"{count:,.0f} × {size(after / count)} instead of {count:,.0f} × {size(nbytes / count)}",
            peak_rss_delta_bytes=-round(nbytes - after),
        ),
        change_detail=f"{about}{size(after)} instead of {size(nbytes)}",
    )
