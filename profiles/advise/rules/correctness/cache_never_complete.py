"""``cache-never-complete``: a cache in front of a take that ends before the cache is full."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import in_function, upstream, without
from pipeprof.profiles.advise.edits.edits import MoveStage, ProposedEdit
from pipeprof.profiles.advise.rule import Prediction, Rule, RuleHit, Semantics
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import percent


class CacheNeverComplete(Rule):
    """A cache that nobody reads to its end."""

    name = "cache-never-complete"
    title = "The cache is never read to its end and serves nothing"
    family = "correctness"
    semantics = "same"
    seen = "A take directly above a cache in memory ends before all elements that the cache would keep have come."
    why = (
        "A cache gives its elements again only once it has been read to its end; one that was read in part is thrown "
        "away when the epoch ends, and the next one begins from nothing. Everything below runs again in every epoch, "
        "as if there were no cache, and what it kept meanwhile took memory."
    )
    fix = (
        "Put the take below the cache: the cache is then complete after the first epoch. Where each epoch is to give "
        "other elements, as with a shuffle below, leave the cache out instead."
    )
    ignore_when = "The dataset is read once only; then the cache can go."

    def check(self, view: PipelineView) -> Iterable[RuleHit]:
        """From the number of elements below the cache, where it is known, and the take's count."""
        caches = [stage for stage in view.stages if stage.op == "cache"]
        # With two of them nobody knows whether they are one: another branch may read it to its end.
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


def _draft(view: PipelineView, stage: StageView, take: StageView, count: int, known: int) -> RuleHit:
    steps = view.profile.steps if view.profile is not None else None
    epochs, share = (steps.epochs, steps.restart_share) if steps is not None else (0, None)
    again = ""
    if epochs and share:
        times = "once" if epochs == 1 else f"{epochs:,} times"
        again = f" The dataset began again {times} while it was measured, which took {percent(share)} of the time."
    edit, recommendation, semantics = _fix(view, stage, take, count)
    return RuleHit(
        stage=stage.id,
        sentence=(
            f"{take.words} ends after {count:,} of the {known:,} elements that {stage.words} would keep. A cache that "
            "was not read to its end is thrown away: it serves nothing, and all that is below it runs in every epoch."
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
            "after the first epoch nothing below the cache runs" if isinstance(edit, MoveStage) else "no other speed"
        ),
        semantics=semantics,
    )


def _fix(view: PipelineView, stage: StageView, take: StageView, count: int) -> tuple[ProposedEdit, str, Semantics]:
    if all(_alike(one) for one in upstream(view, stage)) and view.options.get("deterministic") is not False:
        return (
            MoveStage(take.id, take.op, before=stage.id),
            f"Put the take below the cache: it keeps these {count:,} elements, and from the second epoch on they come "
            "from memory.",
            "same",
        )
    return (
        without(stage),
        f"Leave the cache out: what comes is the same. If every epoch may give the same {count:,} elements, put the "
        "take below the cache instead; what is below it may give others each time.",
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
