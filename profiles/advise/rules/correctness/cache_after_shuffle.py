"""``cache-after-shuffle``: a cache that keeps the order of the first epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import nothing_to_keep, upstream, without
from pipeprof.profiles.advise.caches import frozen_by
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.propose.proposal import Prediction, Proposal, Semantics
from pipeprof.profiles.view.thread_chains import owners
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, milliseconds


class CacheAfterShuffle(Rule):
    """A cache that stores shuffled elements.

    Seen:
        A cache in memory comes after a shuffle that reshuffles in each epoch, and nothing after the cache changes the
        order again. A cache that is written to a file, is never complete, or holds several epochs (a repeat before it)
        is left alone.

    Why:
        The cache stores the elements of the first epoch in their order: every later epoch gives the same elements in
        the same order, and where a batch comes before the cache, the same batches. The shuffle works once. Nothing
        fails, and the model sees one order for all epochs.

    Fix:
        Shuffle after the cache: move the cache before the shuffle, together with the maps between that are worth
        caching. A batch, and a map that draws random numbers, stay after the shuffle. A shuffle directly after a cache
        in memory holds only references to what the cache keeps.

    Ignore when:
        The order should be the same in all epochs, as in an evaluation, or the data is read only once.
    """

    name = "cache-after-shuffle"
    title = "Cache before shuffling"
    family = "correctness"
    semantics = "order"

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the order of the stages."""
        kept = _kept_shuffles(view)
        for stage in view.stages:
            if stage.id not in kept or stage.op != "cache" or stage.arguments.get("filename"):
                continue
            if any(view.ever_after(other_stage, "mixes", _mixes) for other_stage in (stage, *owners(view, stage))):
                continue
            mine = kept[stage.id]
            shuffles = [
                other_stage
                for other_stage in upstream(view, stage)
                if other_stage.id in mine and _is_passed_once(view, other_stage, stage)
            ]
            if shuffles:
                # Once the order changes after the cache, the one before it does no harm.
                yield _draft(view, stage, shuffles[0])


def _shuffles(stage: StageView) -> bool:
    """Whether it gives its elements in another order in each epoch."""
    buffer = stage.arguments.get("buffer_size")
    return (
        traits(stage.op).shuffles
        and not stage.injected
        and isinstance(buffer, int)
        and buffer > 1
        and stage.elements != 1
        and stage.arguments.get("reshuffle_each_iteration") is not False
    )


def _mixes(stage: StageView) -> bool:
    """Whether the order changes at a stage after the cache."""
    return _shuffles(stage) if traits(stage.op).shuffles else traits(stage.op).reorders


def _kept_shuffles(view: PipelineView) -> dict[str, set[str]]:
    """Shuffles whose order a cache keeps, by the first such cache."""
    found: dict[str, set[str]] = {}
    for stage in view.stages:
        if _shuffles(stage) and not traits(stage.op).repeats:
            kept = frozen_by(view, stage)
            if kept is not None:
                found.setdefault(kept.id, set()).add(stage.id)
    return found


def _is_passed_once(view: PipelineView, shuffle: StageView, cache: StageView) -> bool:
    """Whether the elements come to the cache in one pass of the shuffle."""
    return not any(traits(stage.op).repeats for stage in _path(view, shuffle, cache))


def _path(view: PipelineView, shuffle: StageView, cache: StageView) -> list[StageView]:
    """The stages that the shuffled elements come through before the cache, nearest to the shuffle first."""
    before = {stage.id for stage in upstream(view, cache)}
    later = (after for stage in (shuffle, *owners(view, shuffle)) for after in (stage, *view.above(stage)))
    return [stage for stage in later if stage.id in before and stage.id != shuffle.id]


@dataclass(frozen=True)
class _Fix:
    edits: tuple[PipelineEdit, ...]
    recommendation: str
    again: tuple[StageView, ...] = ()
    """Stages that then run in every epoch."""
    semantics: Semantics | None = None


def _draft(view: PipelineView, cache: StageView, shuffle: StageView) -> Proposal:
    path = _path(view, shuffle, cache)
    fix = _fix(view, cache, shuffle, path)
    what = "batches" if any(traits(stage.op).batches for stage in path) else "elements"
    return Proposal(
        stage=cache.id,
        sentence=(
            f"{shuffle.label} orders each epoch differently, but {cache.label} after it stores the order of the first: "
            f"every later epoch repeats the same {what} in the same order."
        ),
        recommendation=fix.recommendation,
        evidence={
            "shuffle": shuffle.id,
            "buffer_size": int(shuffle.arguments["buffer_size"]),
            "stages_between": len(path),
        },
        edits=fix.edits,
        predicted=_predicted(fix.again) if fix.edits else None,
        semantics=fix.semantics,
    )


def _fix(view: PipelineView, cache: StageView, shuffle: StageView, path: Sequence[StageView]) -> _Fix:
    between = _between(view, cache, shuffle)
    if between is None or not all((_commutes(stage) or traits(stage.op).stacks) for stage in between):
        return _shuffle_again(cache, shuffle, path)
    kept = list(between)
    for index, one in enumerate(between):
        if not _commutes(one) or _random(one):
            kept = kept[:index]
            break
    while kept and traits(kept[-1].op).prefetches:
        kept.pop()
    again = tuple(stage for stage in between[len(kept) :] if not traits(stage.op).prefetches)
    random = any(_random(stage) for stage in again)
    semantics: Semantics | None = "randomness" if random else None
    runs = f" {_named(again)} then {'run' if again[1:] else 'runs'} in every epoch." if again else ""
    below = view.input_of(shuffle)
    if not kept and below is not None and nothing_to_keep(view, below):
        text = f"Remove the cache: nothing before {shuffle.label} is worth caching.{runs}"
        work = [stage for stage in again if traits(stage.op).maps and not _random(stage)]
        if work:
            text += f" To cache what {_named(work)} {'make' if work[1:] else 'makes'}, do it before the batch."
        return _Fix((without(cache),), text, again, semantics)
    moved = tuple(MoveStage(stage.id, stage.op, before=shuffle.id) for stage in (*kept, cache))
    what = f"{_named(kept)} and the cache" if kept else "the cache"
    return _Fix(
        moved, f"Move {what} before {shuffle.label}, which then shuffles in every epoch.{runs}", again, semantics
    )


def _shuffle_again(cache: StageView, shuffle: StageView, path: Sequence[StageView]) -> _Fix:
    """For stages that would give something else in another order, or that take elements apart: a second shuffle."""
    if any(traits(stage.op).batches for stage in path):
        return _Fix((), "Shuffle single elements after the cache, and batch after the shuffle.")
    buffer = cache.elements if cache.elements is not None and cache.elements > 0 else None
    if buffer is None and all(not traits(stage.op).regroups for stage in path):
        buffer = int(shuffle.arguments["buffer_size"])
    holds = "It holds only references to what the cache keeps."
    if buffer is None:
        return _Fix((), f"Shuffle after the cache, with a buffer as large as the number of its elements. {holds}")
    edit = InsertStage("shuffle", {"buffer_size": buffer}, after=cache.id)
    return _Fix((edit,), f"Shuffle after the cache, with a buffer of {buffer:,} elements. {holds}")


def _between(view: PipelineView, cache: StageView, shuffle: StageView) -> list[StageView] | None:
    """The stages between the two in the order of the data; ``None`` where they are not in one line."""
    found: list[StageView] = []
    one = view.input_of(cache)
    while one is not None and one.id != shuffle.id:
        found.insert(0, one)
        one = view.input_of(one)
    line = [shuffle, *found]
    return found if one is not None and all(len(view.readers(stage)) == 1 for stage in line) else None


def _commutes(stage: StageView) -> bool:
    """Whether shuffling after it is the same as before it, so that its results can be cached."""
    row = traits(stage.op)
    if row.passes and row.one_to_one and row.consecutive:
        return True
    return (row.maps and not row.stacks) or (row.predicate and not row.ends_early)


def _random(stage: StageView) -> bool:
    return stage.function is not None and stage.function.random is True


def _named(stages: Sequence[StageView]) -> str:
    return listed([stage.label for stage in stages])


def _predicted(again: Sequence[StageView]) -> Prediction:
    known = [stage.ms_per_batch for stage in again if stage.ms_per_batch is not None]
    if not again:
        return Prediction("no change of speed: only shuffling is added to an epoch")
    measured = f", {milliseconds(sum(known))} per batch in this run" if len(known) == len(again) else ""
    return Prediction(f"no speedup: {_named(again)} in every epoch{measured}")
