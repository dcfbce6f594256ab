"""``cache-never-complete``: a take that ends before the cache is full."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import MoveStage, PipelineEdit
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import in_function, upstream, without
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.propose.proposal import Prediction, Proposal, Semantics
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import percent


class CacheNeverComplete(Rule):
    """A cache that is never read to its end.

    Seen:
        A take directly after an in-memory cache ends before the cache has read all of its elements.

    Why:
        A cache serves elements only after it was read to its end. A partly read cache is discarded at the end of the
        epoch. Everything before it runs again in every epoch, as without a cache, and the discarded elements took
        memory.

    Fix:
        Put the take before the cache: the cache then completes in the first epoch. If each epoch should give other
        elements, as after a shuffle, remove the cache.

    Ignore when:
        The dataset is read only once; then remove the cache.
    """

    name = "cache-never-complete"
    title = "Let the cache complete"
    family = "correctness"
    semantics = "same"

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the number of elements before the cache, if known, and the count of the take."""
        caches = [stage for stage in view.stages if stage.op == "cache"]
        # Two of them may be one cache in two branches, and the other branch may read it to its end.
        for stage in caches if len(caches) == 1 else ():
            readers, below = view.readers(stage), view.input_of(stage)
            if stage.arguments.get("filename") or stage.injected or in_function(view, stage) or below is None:
                continue
            known = below.elements if below.elements is not None else below.counted
            if len(readers) != 1 or readers[0].op != "take" or known is None or known <= 0:
                continue
            count = readers[0].arguments.get("count")
            if isinstance(count, int) and not isinstance(count, bool) and 0 < count < known:
                yield _draft(view, stage, readers[0], count, known)


def _draft(view: PipelineView, stage: StageView, take: StageView, count: int, known: int) -> Proposal:
    steps = view.profile.steps if view.profile is not None else None
    epochs, share = (steps.epochs, steps.restart_share) if steps is not None else (0, None)
    again = ""
    if epochs and share:
        times = "once" if epochs == 1 else f"{epochs:,} times"
        again = f" The dataset restarted {times} in the measurement, which took {percent(share)} of the time."
    edit, recommendation, semantics = _fix(view, stage, take, count)
    return Proposal(
        stage=stage.id,
        sentence=(
            f"{take.label} ends after {count:,} of the {known:,} elements that {stage.label} would keep. A cache that "
            "is not read to its end is discarded: it serves nothing, and everything before it runs in every epoch."
            f"{again}"
        ),
        recommendation=recommendation,
        evidence={
            "taken": count,
            "elements": known,
            **({"epochs": epochs, "restart_share": share} if epochs and share else {}),
        },
        edits=(edit,),
        predicted=Prediction(
            "from the second epoch on, nothing before the cache runs"
            if isinstance(edit, MoveStage)
            else "no change of speed"
        ),
        semantics=semantics,
    )


def _fix(view: PipelineView, stage: StageView, take: StageView, count: int) -> tuple[PipelineEdit, str, Semantics]:
    if (
        all(_alike(other_stage) for other_stage in upstream(view, stage))
        and view.options.get("deterministic") is not False
    ):
        return (
            MoveStage(take.id, take.op, before=stage.id),
            f"Put the take before the cache: it keeps these {count:,} elements and serves them from memory from the "
            "second epoch on.",
            "same",
        )
    return (
        without(stage),
        f"Remove the cache: the elements stay the same. If every epoch may give the same {count:,} elements, put the "
        "take before the cache instead; without that, the stages before it may give others each time.",
        "same",
    )


def _alike(stage: StageView) -> bool:
    """Whether every epoch gets the same from it."""
    if stage.arguments.get("deterministic") is False:
        return False
    if stage.op == "list_files":
        return stage.arguments.get("shuffle") is False
    if stage.op != "map":
        return traits(stage.op).same_count
    body = stage.function
    return body is not None and body.random is False and body.python is False
