"""``cache-after-augment``: random augmentation that is drawn once and for all."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import in_function, nothing_to_keep, upstream, without
from pipeprof.profiles.advise.edits.edits import MoveStage, ProposedEdit, ReplaceStage
from pipeprof.profiles.advise.rule import Prediction, Rule, RuleHit
from pipeprof.profiles.view.view import INFINITE, FunctionView, PipelineView, StageView
from pipeprof.profiles.wording import milliseconds

_LOADING = frozenset({"ReadFile", "DecodeRaw", "DecodeCSV", "DecodeImage", "ExtractJpegShape"})
_LOADING_BEGINS = ("DecodeJpeg", "DecodeAndCropJpeg", "DecodePng", "DecodeBmp", "DecodeGif", "DecodeWebP", "Parse")


class CacheAfterAugment(Rule):
    """A cache keeps random numbers."""

    name = "cache-after-augment"
    title = "The cache freezes random augmentation"
    family = "correctness"
    semantics = "values"
    seen = "A cache above a map that draws random numbers, in the pipeline itself or inside a nested one."
    why = (
        "The cache keeps what came out in the first epoch: the crops, flips and noise drawn then are given again in "
        "every later epoch, bit for bit. The model sees each example in one version only, which is what augmentation "
        "is there to avoid. Nothing fails, and the pipeline looks fast."
    )
    fix = (
        "Cache what is costly and always the same (reading, decoding, resizing), and augment above the cache. Where "
        "one function does both, split it. The random part then costs its time in every epoch."
    )
    ignore_when = "The random numbers are meant to be the same in all epochs, or the data is read only once."

    def check(self, view: PipelineView) -> Iterable[RuleHit]:
        """From the order in which elements flow; functions whose randomness is not known are left alone."""
        for stage in view.stages:
            if not traits(stage.op).stores or stage.injected:
                continue
            if in_function(view, stage) and not stage.arguments.get("filename"):
                # Made anew with every run of the function: it never serves a second epoch.
                continue
            below = view.input_of(stage)
            if below is not None and below.elements == INFINITE:
                # It is never complete and never gives anything again.
                continue
            if any(_cuts(view, above) for above in view.above(stage)):
                # What is read only in part is perhaps never complete either.
                continue
            random = [one for one in upstream(view, stage) if _is_random(one) and not _cached_before(view, one, stage)]
            if random:
                yield _draft(view, stage, random)


def _cuts(view: PipelineView, stage: StageView) -> bool:
    """Whether a stage may end before all that it could read has come."""
    if stage.op != "take":
        return stage.op == "take_while"
    below, count = view.input_of(stage), stage.arguments.get("count")
    if not isinstance(count, int) or count < 0:
        return not isinstance(count, int)
    return below is None or below.elements is None or below.elements < 0 or count < below.elements


def _is_random(stage: StageView) -> bool:
    return stage.op in ("map", "map+batch") and stage.function is not None and stage.function.random is True


def _cached_before(view: PipelineView, random: StageView, cache: StageView) -> bool:
    """Whether another cache below has it already: that one is the finding."""
    return any(
        traits(one.op).stores and not in_function(view, one) and random in upstream(view, one)
        for one in upstream(view, cache)
    )


def _draft(view: PipelineView, stage: StageView, random: list[StageView]) -> RuleHit:
    first = random[-1]
    inside = next((one for one in random if in_function(view, one) and one.owner != stage.owner), None)
    draws = _draws(first.function)
    count = len(random)
    names = (
        " and ".join(one.words for one in random) if count < 3 else f"{count} maps, {first.words} the first of them,"
    )
    where = f" inside {view.by_id[inside.owner].words}" if inside is not None and inside.owner in view.by_id else ""
    edits, recommendation = _fix(view, stage, first, nested=inside is not None)
    return RuleHit(
        stage=stage.id,
        sentence=(
            f"{names}{where} {'draw' if count > 1 else 'draws'} random numbers{draws}, and {stage.words} above keeps "
            "what came out: every epoch after the first gives the same augmented elements again."
        ),
        recommendation=recommendation,
        evidence={
            "random_stage": first.id,
            "random_stages": count,
            **({"random_op": op} if (op := _random_op(first.function)) else {}),
        },
        edits=edits,
        predicted=_predicted(random),
    )


def _fix(
    view: PipelineView, stage: StageView, first: StageView, *, nested: bool
) -> tuple[tuple[ProposedEdit, ...], str]:
    if nested:
        return (), (
            f"Take the random part out of {first.words} into a map of its own, and put that above the cache: a cache "
            "inside the nested pipeline would be made anew whenever its function runs."
        )
    below = view.input_of(first)
    if not _loads(first.function) and below is not None and nothing_to_keep(view, below):
        return (without(stage),), (
            f"Leave the cache out: nothing below {first.words} is worth keeping. What is done without random numbers "
            "can be put in a map of its own, with the cache between the two."
        )
    if not _loads(first.function):
        edit = MoveStage(stage.id, stage.op, before=first.id)
        return (edit,), (
            f"Move the cache below {first.words}, so that each epoch draws its own random numbers; what is above the "
            "cache is then done in every epoch."
        )
    split = ReplaceStage(
        first.id,
        yaml="\n".join(
            [
                "- map: {ops: […]}   # reading and decoding",
                f"- {stage.op}: {{}}",
                f"- map: {{ops: […]}}   # the random ops; {first.id} and {stage.id} were one map and a cache above it",
            ]
        ),
        python=f"dataset = dataset.map(load).{stage.op}().map(augment)  # {first.id} split in two",
        summary=f"split {{stage}}: {stage.op} between reading and the random ops",
    )
    return (split,), (
        f"Split {first.words}, which loads and augments: reading and decoding below the cache, the random part "
        "above it."
    )


def _predicted(random: list[StageView]) -> Prediction:
    known = [one.ms_per_batch for one in random if one.ms_per_batch is not None]
    measured = f", {milliseconds(sum(known))} per batch where it ran" if len(known) == len(random) else ""
    return Prediction(f"no gain in speed: the random part runs in every epoch{measured}")


def _random_op(function: FunctionView | None) -> str | None:
    """The op that draws, where it is known."""
    return min((op for op in (function.ops if function and function.ops else ()) if "Random" in op), default=None)


def _draws(function: FunctionView | None) -> str:
    op = _random_op(function)
    return f" ({op})" if op else ""


def _loads(function: FunctionView | None) -> bool:
    """Whether the function reads or decodes, so that a cache below it would keep nothing of worth."""
    ops = function.ops if function is not None and function.ops else frozenset()
    return any(op in _LOADING or op.startswith(_LOADING_BEGINS) for op in ops)
