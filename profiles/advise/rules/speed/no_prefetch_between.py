"""``no-prefetch-between``: slow stages that alternate on one thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.cores import BUSY_CORES, ONE_CORE, spare_cores, worker_cores
from pipeprof.profiles.advise.predicates import COMPUTING, SLOW_STAGE, python_bound, slow_sides
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.constants import THREAD_HAND_OVER_MS
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.thread_chains import Timing, drawn, inputs, rows, timing, total_ms
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, percent

_BUFFER = 2


class NoPrefetchBetween(Rule):
    """Two or more slow serial stages whose times add up.

    Seen:
        Two consecutive stages that run one call at a time, or two sides of a zip, each take a good part of the
        interval, no stage between them works ahead, and together they set the pace.

    Why:
        A stage requests one element at a time and pulls it from its input on the same thread, so their times add up.
        TensorFlow adds a prefetch at the end of a pipeline, but none inside it.

    Fix:
        Put a prefetch between the two, or at the end of each side of the zip: each then works on a thread of its own,
        and the slowest sets the pace instead of the sum. Here a prefetch is right although it is not the last stage.

    Ignore when:
        There is no memory for two more elements, or all cores are needed elsewhere.
    """

    name = "no-prefetch-between"
    title = "Add a prefetch between slow stages"
    family = "speed"
    semantics = "same"
    yields_to = ("serial-map-cpu", "serial-map-latency")
    thresholds = (
        SLOW_STAGE,
        Threshold("row-share", 0.7, "of the time waited for it", "the sum of the stages makes up the wait", to_try=0.4),
        Threshold("hidden-share", 0.05, "of the interval", "as the headspace: less is within the noise of a run"),
        Threshold("hand-over-ms", THREAD_HAND_OVER_MS, "ms per element", "an element from thread to thread"),
        COMPUTING,
        ONE_CORE,
        BUSY_CORES,
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the measured times of the stages that one thread draws from."""
        at = timing(view)
        if at is None or not spare_cores(view):
            return
        for row in rows(view, at):
            if total_ms(row.stages) < self.threshold("row-share") * row.waited_ms:
                continue
            for stage in row.stages:
                sides = slow_sides(view, stage)
                if sides and not _share_a_lock(view, at, [stage for side in sides for stage in drawn(view, side)]):
                    yield from self._zip(view, at, stage, sides)
            yield from self._in_a_row(view, at, row.stages)

    def _zip(self, view: PipelineView, at: Timing, stage: StageView, sides: Sequence[StageView]) -> Iterator[Proposal]:
        times = [total_ms(drawn(view, side)) for side in sides]
        words = ", ".join(f"{side.label} {milliseconds(ms)}" for side, ms in zip(sides, times, strict=True))
        yield from self._draft(
            view,
            at,
            stage=stage,
            after=sides,
            moved_ms=times,
            sentence=(
                f"{stage.label} draws from its sides one after the other, and their times per batch add up: {words}, "
                f"of {milliseconds(at.interval_ms)} per batch."
            ),
            recommendation=f"Add prefetch({_BUFFER}) at the end of each slow side, so that they work at the same time.",
        )

    def _in_a_row(self, view: PipelineView, at: Timing, row: Sequence[StageView]) -> Iterator[Proposal]:
        line = _line(view, row)
        slow = [unit for unit in line if total_ms(unit) >= SLOW_STAGE.value * at.interval_ms]
        if len(slow) <= 1:
            return
        if _share_a_lock(view, at, [stage for unit in slow for stage in unit]):
            return
        after, groups = _cuts(line, slow)
        words = " and ".join(f"{unit[0].label} {milliseconds(total_ms(unit))}" for unit in slow)
        whole = sum(total_ms(unit) for unit in slow)
        yield from self._draft(
            view,
            at,
            stage=slow[0][0],
            after=after,
            moved_ms=groups,
            covers=tuple(stage.id for unit in slow for stage in unit),
            sentence=(
                f"{words} per batch alternate on one thread, {percent(min(1.0, whole / at.interval_ms))} of the "
                f"{milliseconds(at.interval_ms)} per batch: while one works, the other does not."
            ),
            recommendation=(
                f"Add prefetch({_BUFFER}) after {' and after '.join(stage.label for stage in after)}, so that the "
                "stages work at the same time."
            ),
        )

    def _draft(
        self,
        view: PipelineView,
        at: Timing,
        *,
        stage: StageView,
        after: Sequence[StageView],
        moved_ms: Sequence[float],
        sentence: str,
        recommendation: str,
        covers: tuple[str, ...] = (),
    ) -> Iterator[Proposal]:
        handed = max(
            (stage.measured.elements or 0) / at.batches if stage.measured is not None else 0.0 for stage in after
        )
        edits = tuple(InsertStage("prefetch", {"buffer_size": _BUFFER}, after=stage.id) for stage in after)
        predicted = predict.expected(view, edits)
        if predicted is None:
            return
        won_ms = at.interval_ms * (1 - 1 / (predicted.speedup or 1.0)) - handed * self.threshold("hand-over-ms")
        if won_ms < self.threshold("hidden-share") * at.interval_ms:
            return
        yield Proposal(
            stage=stage.id,
            sentence=sentence,
            recommendation=recommendation,
            covers=covers,
            evidence={
                "stages": ", ".join(stage.id for stage in after),
                "moved_ms_per_batch": sum(moved_ms),
                "slowest_ms_per_batch": max(moved_ms),
                "interval_ms": at.interval_ms,
            },
            edits=edits,
            predicted=replace(predicted, peak_rss_delta_bytes=predict.buffered_by((stage, _BUFFER) for stage in after)),
        )


def _line(view: PipelineView, row: Sequence[StageView]) -> list[list[StageView]]:
    """The row as units from top to bottom: a stage with what runs inside its function, or the whole of a branch."""
    ids = {stage.id for stage in row}
    line: list[list[StageView]] = []
    at: StageView | None = row[0]
    while at is not None and at.id in ids:
        ids.discard(at.id)
        inside = [stage for stage in row if stage.id in ids and _belongs(view, stage, at)]
        ids.difference_update(stage.id for stage in inside)
        below = [stage for stage in inputs(view, at) if stage.id in ids]
        if len(at.inputs) > 1:
            line.append([at, *inside, *(stage for stage in row if stage.id in ids)])
            return line
        line.append([at, *inside])
        at = below[0] if below else None
    return line


def _belongs(view: PipelineView, stage: StageView, owner: StageView) -> bool:
    at, seen = stage.owner, set[str]()
    while at is not None and at not in seen:
        if at == owner.id:
            return True
        seen.add(at)
        above = view.by_id.get(at)
        at = above.owner if above is not None else None
    return False


def _cuts(line: Sequence[list[StageView]], slow: Sequence[list[StageView]]) -> tuple[list[StageView], list[float]]:
    """Stages to put a prefetch after, and the time per batch of each stretch with a thread of its own."""
    places = [index for index, unit in enumerate(line) if any(unit is other for other in slow)]
    after, groups = [], []
    cuts = [
        # Where the fewest elements pass; of equals, nearest to the later stage.
        min(range(upper + 1, lower + 1), key=lambda index: (_elements(line[index][0]), index))
        for upper, lower in pairwise(places)
    ]
    for cut, next_cut in zip(cuts, [*cuts[1:], len(line)], strict=True):
        after.append(line[cut][0])
        groups.append(sum(total_ms(unit) for unit in line[cut:next_cut]))
    return after, groups


def _elements(stage: StageView) -> float:
    elements = stage.measured.elements if stage.measured is not None else None
    return float("inf") if elements is None else float(elements)


def _share_a_lock(view: PipelineView, at: Timing, stages: Sequence[StageView]) -> bool:
    """Whether the stages are Python that computes: on threads of their own they would still alternate."""
    used = worker_cores(view)
    python = [stage for stage in stages if stage.ms_per_batch and python_bound(view, stage) is True]
    spent = total_ms(python)
    return used is not None and len(python) > 1 and used * at.interval_ms >= COMPUTING.to_report * spent
