"""``cache-after-augment``: random augmentation before a cache."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import HandWritten, MoveStage, PipelineEdit
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import in_function, nothing_to_keep, upstream, without
from pipeprof.profiles.advise.caches import freezes
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import FunctionView, PipelineView, StageView
from pipeprof.profiles.wording import milliseconds

_LOADING = frozenset({"ReadFile", "DecodeRaw", "DecodeCSV", "DecodeImage", "ExtractJpegShape"})
_LOADING_BEGINS = ("DecodeJpeg", "DecodeAndCropJpeg", "DecodePng", "DecodeBmp", "DecodeGif", "DecodeWebP", "Parse")


class CacheAfterAugment(Rule):
    """A cache that stores random draws.

    Seen:
        A cache comes after a map that draws random numbers, in the pipeline itself or in a nested one.

    Why:
        The cache stores the first epoch: its crops, flips and noise are repeated bit for bit in every later epoch. The
        model sees one version of each example, which defeats augmentation. Nothing fails, and the pipeline looks fast.

    Fix:
        Cache what is expensive and deterministic (reading, decoding, resizing), and augment after the cache. If one
        function does both, split it. The random part then takes time in every epoch.

    Ignore when:
        The random numbers should be the same in all epochs, or the data is read only once.
    """

    name = "cache-after-augment"
    title = "Cache before random augmentation"
    family = "correctness"
    semantics = "values"

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the order of the stages; functions of unknown randomness are left alone."""
        if not any(_is_random(stage) for stage in view.stages):
            return
        for stage in view.stages:
            if not freezes(view, stage):
                continue
            random = [other_stage for other_stage in _uncached(view, stage) if _is_random(other_stage)]
            if random:
                yield _draft(view, stage, random)


def _is_random(stage: StageView) -> bool:
    return traits(stage.op).maps and stage.function is not None and stage.function.random is True


def _uncached(view: PipelineView, cache: StageView) -> list[StageView]:
    """All stages that the elements come through from an earlier cache on, nearest first: before it, that one counts."""
    return upstream(view, cache, ends=lambda one: traits(one.op).stores and not in_function(view, one))


def _draft(view: PipelineView, stage: StageView, random: list[StageView]) -> Proposal:
    first = random[-1]
    inside = next(
        (other_stage for other_stage in random if in_function(view, other_stage) and other_stage.owner != stage.owner),
        None,
    )
    draws = _draws(first.function)
    count = len(random)
    names = " and ".join(stage.label for stage in random) if count < 3 else f"{count} maps (the first is {first.label})"
    where = f" inside {view.by_id[inside.owner].label}" if inside is not None and inside.owner in view.by_id else ""
    edits, recommendation = _fix(view, stage, first, nested=inside is not None)
    return Proposal(
        stage=stage.id,
        sentence=(
            f"{names}{where} {'draw' if count > 1 else 'draws'} random numbers{draws}, and {stage.label} after "
            f"{'them' if count > 1 else 'it'} stores the result: every epoch repeats the augmented elements of "
            "the first."
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
) -> tuple[tuple[PipelineEdit, ...], str]:
    if nested:
        return (), (
            f"Move the random part of {first.label} into a map of its own after the cache. A cache inside the nested "
            "pipeline would be rebuilt with every call of its function."
        )
    below = view.input_of(first)
    if not _loads(first.function) and below is not None and nothing_to_keep(view, below):
        return (without(stage),), (
            f"Remove the cache: nothing before {first.label} is worth caching. Deterministic work can go into a map of "
            "its own, with the cache between the two."
        )
    if not _loads(first.function):
        edit = MoveStage(stage.id, stage.op, before=first.id)
        return (edit,), (
            f"Move the cache before {first.label}, so that each epoch draws its own random numbers. The stages after "
            "the cache then run in every epoch."
        )
    split = HandWritten(
        (first.id,),
        yaml="\n".join(
            [
                "- map: {ops: […]}   # reading and decoding",
                f"- {stage.op}: {{}}",
                f"- map: {{ops: […]}}   # the random ops; replaces {first.id} and {stage.id}",
            ]
        ),
        python=f"dataset = dataset.map(load).{stage.op}().map(augment)  # {first.id} split in two",
        summary=f"split {{stage}}: {stage.op} between reading and the random ops",
    )
    return (split,), (
        f"Split {first.label}, which loads and augments: reading and decoding before the cache, the random part "
        "after it."
    )


def _predicted(random: list[StageView]) -> Prediction:
    known = [stage.ms_per_batch for stage in random if stage.ms_per_batch is not None]
    measured = f", {milliseconds(sum(known))} per batch in this run" if len(known) == len(random) else ""
    return Prediction(f"no speedup: the random part runs in every epoch{measured}")


def _random_op(function: FunctionView | None) -> str | None:
    """The op that draws, where it is known."""
    return min((op for op in (function.ops if function and function.ops else ()) if "Random" in op), default=None)


def _draws(function: FunctionView | None) -> str:
    op = _random_op(function)
    return f" ({op})" if op else ""


def _loads(function: FunctionView | None) -> bool:
    """Whether the function reads or decodes, so that a cache before it would store nothing of value."""
    ops = function.ops if function is not None and function.ops else frozenset()
    return any(op in _LOADING or op.startswith(_LOADING_BEGINS) for op in ops)
