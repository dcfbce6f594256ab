"""What a training script does around its pipeline, as it was seen: iterators, traces, reads, validations, saves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.static.loops import reads_in_loop, unused_name
from pipeprof.pipelines.steps.step import kind_of
from pipeprof.profiles.advise.check import finding
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.gaps.sentences import ADVICE
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import (
    CAUSE_WORDS,
    as_typed,
    listed,
    milliseconds,
    percent,
    place_of,
    ratio_text,
    significant,
)

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import CodePlace, DatasetUse, FunctionUse, GapCause, Training


SHARE: Final = 0.05
"""Of the training: as the headspace, less is within a run's noise."""
TRACES: Final = 5
"""Of one function: training, evaluation and a smaller last batch are four."""
TAIL: Final = 5.0
"""Times the median that the slowest of 100 steps takes: a trace takes longer than a step."""
TAIL_STEPS: Final = 100
"""Measured steps: fewer show no slowest of 100."""
APART: Final = 0.1
"""Of a step, between two of them, of a library's callback: less is Keras itself."""
VALIDATION: Final = 0.2
"""Of the training: a fifth of the data is a common part to validate on."""
VALIDATION_FETCH: Final = 0.3
"""Of the validation: below that its time is the model's, and a cache gains little."""
STALLS: Final = 0.1
"""Of the training: a start and one checkpoint in a short run are less."""
_ASYNCHRONOUS: Final = re.compile(r"tensorflow\.train\.Checkpoint(?:Manager)?\.(?:save|write)")
"""What can save while the training goes on."""
_ELSEWHERE: Final[tuple[GapCause, ...]] = ("pipeline", "pipeprof", "unknown")
"""Ideas are about the pipeline's time; nothing can be done about the other two."""


def _training(view: PipelineView) -> Training | None:
    return view.profile.training if view.profile is not None else None


@finding("iterator-made-anew", "speed", "values")
def iterator_made_anew(view: PipelineView) -> Iterator[Proposal]:
    """A dataset that is built, started or run more often than it is needed."""
    training = _training(view)
    if training is not None:
        proposals = (look(use, training) for use in training.datasets for look in (_rebuilt, _each_step, _together))
        yield from (proposal for proposal in proposals if proposal is not None)


def _rebuilt(use: DatasetUse, training: Training) -> Proposal | None:
    """A dataset that is built again with the same graph in every epoch."""
    if not use.equal or use.datasets < 2 or use.role not in ("training", "loop"):
        return None
    again = bool(use.cached_in_memory and use.caches_again)
    seconds = (use.build_seconds or 0.0) * (use.datasets - 1)
    share = share_of(seconds, training)
    if share < SHARE and not again:
        return None
    # What a cache kept would be fetched once.
    share += share_of(use.fetch_seconds, training) * (use.datasets - 1) / use.datasets if again else 0.0
    took = f": {share_text(seconds, training)}" if use.build_seconds else ""
    return Proposal(
        title="Build the dataset once, before the loop over the epochs",
        location=location_of(use),
        sentence=f"The dataset iterated{at(use, ' in ')} was built {use.datasets:,} times with the same graph{took}."
        f"{' Its cache starts empty each time.' if again else ''}",
        recommendation="Build it once, before the loop over the epochs, and iterate over it in each of them.",
        evidence={"datasets": use.datasets, "build_s": use.build_seconds or 0.0, "share": min(1.0, share)},
        predicted=without(min(1.0, share)),
        # A new object begins with the same order, one that is kept has another one in each pass.
        semantics="order" if use.seeded else "same",
    )


def _each_step(use: DatasetUse, training: Training) -> Proposal | None:
    """A new iterator for every step. An epoch of `fit` has one of its own, however few batches it has."""
    if use.role != "loop" or not begins_each_step(use) or use.first_seconds is None:
        return None
    seconds = use.first_seconds * use.iterators
    share = share_of(seconds, training)
    if share < SHARE:
        return None
    return Proposal(
        location=location_of(use),
        sentence=(
            f"{use.iterators:,} iterators were made{at(use, ' in ')} for {use.batches or use.iterators:,} batches: "
            f"each step starts the dataset again, {share_text(seconds, training)}."
        ),
        recommendation="Make one iterator before the loop, and call next() on it.",
        evidence={"iterators": use.iterators, "first_s": use.first_seconds},
        predicted=without(share),
    )


def _together(use: DatasetUse, training: Training) -> Proposal | None:
    """Two iterators of one dataset that take batches in turn."""
    share = share_of(use.fetch_seconds, training)
    if use.together < 2 or use.role != "loop" or use.cached or share < SHARE:
        return None
    return Proposal(
        title="Use one iterator for both",
        location=location_of(use),
        sentence=(
            f"{use.together} iterators of one dataset{at(use, ', iterated in ')}, take batches in turn: its work is "
            f"done {use.together} times."
        ),
        recommendation="Take one batch for both; if they must differ, cache() after the costly stages.",
        evidence={"iterators": use.together, "fetch_s": use.fetch_seconds or 0.0, "share": share},
        predicted=without(share * (1 - 1 / use.together)),
    )


@finding("retraced-step", "speed", "same")
def retraced_step(view: PipelineView) -> Iterator[Proposal]:
    """A step that is traced again and again."""
    training = _training(view)
    for use in training.functions if training is not None else ():
        share = share_of(use.trace_seconds, training) if training is not None else 0.0
        if training is None or use.traces < TRACES or share < SHARE:
            continue
        advice = f"Give `{use.name}` one trace for all shapes, and pass numbers as tensors."
        if use.objects >= use.traces / 2:
            advice = "Make it once, before the loop."
        yield Proposal(
            location=location_of(use),
            sentence=f"`{use.name}`{at(use, ' (')}{')' if use.file else ''} was traced {use.traces:,} times: "
            f"{share_text(use.trace_seconds, training)}.",
            recommendation=advice,
            evidence={"traces": use.traces, "objects": use.objects, "trace_s": use.trace_seconds, "share": share},
            predicted=without(share),
        )
    padded, steps = _padded(view), view.profile.steps if view.profile is not None else None
    device = view.profile.device if view.profile is not None else None
    if padded is None or steps is None or steps.busy_ms is None or device is None:
        return
    median, slow = steps.busy_ms.p50, steps.busy_ms.p99
    own = kind_of(device.kind).real
    if own and median and slow and steps.count >= TAIL_STEPS and slow >= TAIL * median:
        yield Proposal(
            title="Give batches few shapes",
            stage=padded.id,
            sentence=(
                f"{padded.label} gives each batch a length of its own, and of 100 steps the slowest takes "
                f"{significant(slow / median)} times the median: a compiled step is traced again for each new shape."
            ),
            recommendation="Trace the step for all lengths at once (reduce_retracing=True), or pad to few lengths.",
            evidence={"step_p50_ms": median, "step_p99_ms": slow, "steps": steps.count},
            semantics="values",
        )


def _padded(view: PipelineView) -> StageView | None:
    """The padded batch whose batches the step gets, if their lengths are not fixed."""
    for stage in view.stages:
        later = [other for other in view.above(stage) if not other.injected] if traits(stage.op).pads else []
        shapes = [part.shape for part in stage.element or ()]
        varies = any(shape is not None and None in shape[1:] for shape in shapes)
        if traits(stage.op).pads and stage.owner is None and varies and all(traits(one.op).passes for one in later):
            return stage
    return None


@finding("waits-for-results", "speed", "same")
def waits_for_results(view: PipelineView) -> Iterator[Proposal]:
    """A training that reads a result of the step in every step."""
    training = _training(view)
    if training is None:
        return
    apart, call = training.apart_ms, training.call_ms
    share = apart / (apart + call) if apart is not None and call is not None else None
    for callback in training.callbacks:
        # One of a library counts where it takes time; one of the user's own is wrong on any device.
        if callback.file is None and (share is None or share < APART):
            continue
        mend = f"Set async_safe = True in {callback.name} if it only stores or prints, or do its work once an epoch."
        advice = mend if callback.file is not None else f"Leave {callback.name} out, or do its work once an epoch."
        yield Proposal(
            location=location_of(callback),
            sentence=f"The callback {callback.name}{at(callback, ' (')}{')' if callback.file else ''} defines "
            "on_train_batch_end without async_safe: Keras waits for the results of every step.",
            recommendation=advice if share is not None and share >= APART else _on_device(view, advice),
            evidence={"callback": callback.name, **({"apart_ms": apart} if apart is not None else {})},
        )
    main = main_of(training)
    if training.consumer != "loop" or main is None or main.file is None or main.line is None:
        return
    functions = [use.name for use in training.functions if use.file == main.file]
    reads = reads_in_loop(view.texts.get(main.file, ""), main.line, functions)
    if reads:
        named = listed([f"`{read.text}` in line {read.line}" for read in reads])
        yield Proposal(
            location=Location(file=as_typed(main.file), line=reads[0].line),
            sentence=f"{named} {'reads' if len(reads) == 1 else 'read'} a result in every step: on a GPU or TPU the "
            "script waits there until the step has ended.",
            recommendation=_on_device(view, "Keep it as a tensor, and read it every hundredth step, or once an epoch."),
        )


def _on_device(view: PipelineView, text: str) -> str:
    """What to do, with the devices for which it pays where this machine has none of them."""
    host = view.profile.host if view.profile is not None else None
    return text if host is None or host.gpus else f"{text} On this machine's CPU it costs microseconds."


@finding("validation-again", "speed", "same")
def validation_again(view: PipelineView) -> Iterator[Proposal]:
    """A validation whose dataset does the same work again after every epoch."""
    training = _training(view)
    use = next((use for use in training.datasets if use.role == "validation"), None) if training is not None else None
    if training is None or use is None or training.validation_seconds is None or training.validations < 2:
        return
    seconds, count, fetch = training.validation_seconds, training.validations, use.fetch_seconds
    share, rebuilt = share_of(seconds, training), use.datasets > 1 and use.equal is True
    of_model = not rebuilt and fetch is not None and fetch < VALIDATION_FETCH * seconds
    if share < VALIDATION or of_model or (use.cached is not False and not rebuilt):
        return
    why = f"is built again each time ({use.datasets:,} times)" if rebuilt else "has no cache"
    yield Proposal(
        location=location_of(use),
        sentence=f"Validation{at(use, ' in ')} took {share_text(seconds, training)}: its dataset {why}, so each one "
        "does the same work again.",
        recommendation="Build the validation dataset once, with cache().prefetch(tf.data.AUTOTUNE) at its end if it "
        "fits into memory.",
        evidence={"validations": count, "validation_s": seconds, "share": share, "datasets": use.datasets},
        # What remains is the model's, and the first one.
        predicted=without(share_of(fetch, training) * (count - 1) / count) if fetch is not None else None,
    )


@finding("training-stalls", "speed", "same")
def training_stalls(view: PipelineView) -> Iterator[Proposal]:
    """Saves, and callbacks at the ends of epochs, during which nothing is trained."""
    training = _training(view)
    if training is None:
        return
    saving, saver = training.save_seconds or 0.0, training.saver
    share = share_of(saving, training)
    if saver is not None and training.saves > 1 and share >= STALLS:
        asynchronous = ", or with experimental_enable_async_checkpoint" if _ASYNCHRONOUS.match(saver.name) else ""
        yield Proposal(
            location=location_of(saver),
            sentence=f"{'.'.join(saver.name.split('.')[-2:])}(){at(saver, ' in ')} stops the training "
            f"{training.saves:,} times: {share_text(saving, training)}.",
            recommendation=f"Save less often{asynchronous}.",
            evidence={"saves": training.saves, "save_s": saving, "share": share},
            predicted=without(share),
        )
    main, ends = main_of(training), (training.epoch_end_seconds or 0.0) - saving
    share = share_of(ends, training)
    if main is not None and training.epochs > 1 and share >= STALLS:
        yield Proposal(
            title="Do less at the end of an epoch",
            location=location_of(main),
            sentence=f"The callbacks at the end of an epoch of fit{at(main, ' in ')} take "
            f"{milliseconds(1e3 * ends / training.epochs)}, {share_text(ends, training)}: no step runs then.",
            recommendation="Do the work of on_epoch_end less often, or in another process.",
            evidence={"epochs": training.epochs, "epoch_end_s": ends, "share": share},
            predicted=without(share),
        )


@finding("unused-dataset", "correctness", "values")
def unused_dataset(view: PipelineView) -> Iterator[Proposal]:
    """A dataset that is made and never iterated."""
    training = _training(view)
    main = main_of(training) if training is not None else None
    where = f" The training takes its batches{at(main, ' in ')}." if main is not None and main.file else ""
    for place in training.unread if training is not None else ():
        name = unused_name(view.texts.get(place.file or "", ""), place.line or 0, in_module=_is_in_script(place, view))
        if name is not None:
            yield Proposal(
                location=location_of(place),
                sentence=f"The dataset `{name}`{at(place, ', made in ')}, is never iterated.{where}",
                recommendation=f"Iterate over `{name}`, or remove it.",
                evidence={"name": name},
            )


def _is_in_script(place: CodePlace, view: PipelineView) -> bool:
    """Whether a line is in the script itself, whose names no other module reads."""
    script = view.profile.target.text if view.profile is not None else None
    return None not in (place.file, script) and PurePath(as_typed(place.file or "")) == PurePath(as_typed(script or ""))


@finding("idle-device", "speed", "same")
def idle_device(view: PipelineView) -> Iterator[Proposal]:
    """A traced device without work while the host copies, compiles, allocates, waits or runs Python."""
    device = view.profile.device if view.profile is not None else None
    gaps = device.gaps if device is not None else None
    if device is None or gaps is None or not gaps.seconds or device.gaps_unknown is not None:
        return
    causes: Sequence[tuple[GapCause, float]] = [
        (cause, spent / gaps.seconds) for cause, spent in gaps.by_cause.items() if cause not in _ELSEWHERE
    ]
    causes = sorted((one for one in causes if one[1] >= SHARE), key=lambda one: -one[1])
    if causes and device.idle_share is not None:
        named = listed([f"{percent(share)} {CAUSE_WORDS[cause]}" for cause, share in causes])
        yield Proposal(
            stage=view.root.id if view.root is not None else None,
            sentence=f"By a trace of {significant(gaps.seconds)} s the device idles {percent(device.idle_share)} of "
            f"the time: {named}.",
            recommendation=" ".join(ADVICE[cause] for cause, _ in causes[:2]),
            evidence={
                "idle_share": device.idle_share,
                "trace_s": gaps.seconds,
                **{f"{cause.replace('-', '_')}_share": share for cause, share in causes},
            },
            predicted=Predicted(
                formula="unknown until it is tried: the trace shows what the host did, not what would help"
            ),
        )


TRAINING: Final = (
    idle_device,
    iterator_made_anew,
    retraced_step,
    training_stalls,
    unused_dataset,
    validation_again,
    waits_for_results,
)


LEAST_ITERATORS: Final = 10
"""A look at a batch, also at several, is no training."""


def main_of(training: Training) -> DatasetUse | None:
    """Return the dataset that the rest of the profile is about."""
    return next((use for use in training.datasets if use.main), None)


def location_of(place: CodePlace | DatasetUse | FunctionUse) -> Location | None:
    """Return the line of something of the script."""
    if place.file is None or place.line is None:
        return None
    return Location(file=as_typed(place.file), line=place.line)


def at(place: CodePlace | DatasetUse | FunctionUse, before: str = "") -> str:
    """The line of something of the script, after a text; empty where it has none."""
    name = place_of(location_of(place))
    return f"{before}{name}" if name is not None else ""


def seconds_text(seconds: float) -> str:
    """A duration in seconds, or in milliseconds below one.

    Example:
        >>> seconds_text(1.234), seconds_text(0.05)
        ('1.23 s', '50.0 ms')
    """
    return f"{significant(seconds)} s" if seconds >= 1 else milliseconds(1e3 * seconds)


def share_of(seconds: float | None, training: Training) -> float:
    """Return a part of the observed training; 0 where it is not known."""
    return min(1.0, seconds / training.seconds) if seconds and training.seconds else 0.0


def share_text(seconds: float, training: Training) -> str:
    """A part of the observed training, in words."""
    whole = training.seconds or 0.0
    return f"{seconds_text(seconds)} of {seconds_text(whole)} of training ({percent(share_of(seconds, training))})"


def without(share: float) -> Predicted:
    """Predict at most what a change gains that saves a share of the time."""
    most = 1 / max(1 - share, 0.01)
    return Predicted(speedup=most, formula=f"at most {ratio_text(most)}: {percent(share)} of the observed time")


def begins_each_step(use: DatasetUse) -> bool:
    """Whether each step makes an iterator of its own."""
    return use.role in ("training", "loop") and use.iterators >= max(LEAST_ITERATORS, (use.batches or 0) / 2)
