"""The verdict: what the training loop was bound by, in one sentence with the numbers behind it.

The two marks on the share of waiting are those of the TensorFlow profiler's input-pipeline analysis: below 5 % of
the step it calls a program not input-bound, from 20 % on highly input-bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.document.findings import Verdict, VerdictDetail
from pipeprof.profiles.time.bottleneck import limit_of
from pipeprof.profiles.time.top_stage import equal_stages, top_stage, unknown_stages
from pipeprof.profiles.wording import count, listed, milliseconds, percent, significant, stage_words

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Bound, Dispatch
    from pipeprof.profiles.document.measured import Steps
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.time.bottleneck import Limited

STEP_BOUND_BELOW = 0.05
"""Share of waiting below which the step sets the pace (xprof: not input-bound)."""

INPUT_BOUND_FROM = 0.20
"""Share of waiting from which the pipeline sets the pace (xprof: highly input-bound)."""

OWNER_FROM = 0.25
"""Share of the time inside the pipeline from which a stage is named for it alone."""

_GONE_WITH_BATCHES = 0.5
"""Share of the waiting that batches that lie ready must save, so that it needs no word."""
_MOST = 0.5
"""Share of the time without a step that is most of it."""
SLOW_DELETE = "slow-delete"
"""Code of the warning that ended iterators were slow to delete."""
_ENDED_BY_SIGNAL = {130: "Interrupted", 143: "Terminated"}
_WORDS_FOR_CODES = {
    "crashed": "the worker crashed",
    "empty": "the dataset is empty",
    "exited": "the worker ended by itself",
    "hung": "the pipeline hangs",
    "killed": "the worker was killed",
    "max-time": "--max-time was reached",
    "raised": "the pipeline raised an error",
    "step-raised": "the step raised an error",
}


def bound_of(wait_share: float) -> Bound:
    """Classify a share of waiting between 0 and 1.

    Example:
        >>> bound_of(0.01), bound_of(0.05), bound_of(0.20)
        ('step', 'balanced', 'input')
    """
    if wait_share < STEP_BOUND_BELOW:
        return "step"
    return "input" if wait_share >= INPUT_BOUND_FROM else "balanced"


def verdict(profile: Profile) -> Verdict:
    """Conclude from what was measured.

    Reads ``steps``, ``throughput``, ``stages``, ``causes``, ``headspace`` and, for a run that did not end well,
    ``exit_code``, ``phases`` and ``errors``; changes nothing. ``limit`` is ``None`` where no measurement tells.

    Returns:
        The verdict; ``bound`` is ``None`` when no step was measured.
    """
    steps = profile.steps if profile.steps and profile.steps.count else None
    bound = _bound(profile, steps)
    limited = limit_of(profile) if bound in ("input", "balanced") else None
    if _nothing_to_gain(profile) and limited is not None and limited.limit != "memory":
        limited = None
    measured = _measured_sentence(profile, steps, bound, limited) if steps else None
    ended = _ended_sentence(profile, steps)
    if measured is None:
        nothing = f"{ended}; nothing was measured." if ended else "Nothing was measured."
        return Verdict(headline=nothing, sentence=nothing)
    text = f"{ended}. Until then {measured[0].lower()}{measured[1:]}" if ended else measured
    head, _, rest = text.rstrip(".").partition("; ")
    return Verdict(
        bound=bound,
        limit="step" if bound == "step" else limited.limit if limited is not None else None,
        stage=limited.stage.id if limited is not None and limited.stage is not None else None,
        headspace_share=profile.headspace.share if profile.headspace is not None else None,
        headline=f"{head}.",
        details=[VerdictDetail(label="bottleneck", text=rest)] if rest else [],
        sentence=text,
    )


def _nothing_to_gain(profile: Profile) -> bool:
    """Whether batches that lay ready came no faster: then it is not the pipeline that is in the way."""
    return profile.headspace is not None and profile.headspace.share < STEP_BOUND_BELOW


def _bound(profile: Profile, steps: Steps | None) -> Bound | None:
    if steps is None:
        return None
    if steps.dispatch is None:
        return "input"
    if _nothing_to_gain(profile):
        return "step"
    if (steps.restart_share or 0.0) >= STEP_BOUND_BELOW:
        return bound_of(steps.wait_share)
    return bound_of(_within(steps))


def _within(steps: Steps) -> float:
    """The share of waiting without the starts of epochs."""
    restart = steps.restart_share or 0.0
    return (steps.wait_share - restart) / (1 - restart) if restart < 1 else 0.0


def _measured_sentence(profile: Profile, steps: Steps, bound: Bound | None, limited: Limited | None) -> str:
    owner = ""
    if limited is not None:
        owner = _held_up(limited, profile.stages, steps.epochs)
    elif not _nothing_to_gain(profile):
        owner = _owner(profile.stages, steps.epochs)
    worth = _worth(profile, steps)
    if steps.dispatch is None:
        return f"No step to feed: {_alone(profile, steps)}{owner}{_starts_again(steps)}{worth}."
    waits = (
        f"{milliseconds(steps.wait_ms.mean)} of every {milliseconds(steps.interval_ms.mean)} step "
        f"({percent(steps.wait_share)})"
    )
    mode = _mode(steps.dispatch)
    rest = f"{owner}{_restarts(steps)}{worth}"
    if bound == "step":
        # A window that was cut short is too little to send anybody home on.
        alone = profile.complete and not _slow_to_end(profile)
        keeps_up = f"the pipeline keeps up{', leave its speed alone' if alone else ''}.{_slow_to_end(profile)}"
        if max(steps.wait_share, _within(steps)) < STEP_BOUND_BELOW:
            return f"Bound by the step: {mode}, the device waits for a batch only {waits}; {keeps_up}"
        if _nothing_to_gain(profile):
            return (
                f"Bound by the step: {mode}, the device waits for the next batch {waits}, and hardly less when batches "
                f"lie ready: {keeps_up}"
            )
        waits = f"{percent(_within(steps))} of the time within an epoch ({percent(steps.wait_share)} in all)"
        return f"Bound by the step: {mode}, the device waits for a batch only {waits}; {keeps_up}"
    if bound == "balanced":
        return f"Balanced: {mode}, the device waits for the next batch {waits}{rest}."
    return f"Bound by the input: {mode}, the device waits for the next batch {waits}{rest}."


def _held_up(limited: Limited, stages: list[Stage] | None, epochs: int) -> str:
    """What holds the pipeline up, and the measurement that says so."""
    if limited.stage is None:
        return f"; {limited.because}{'' if limited.limit == 'memory' else _not_known(stages, epochs)}"
    held = [limited.stage, *limited.beside]
    names = listed([stage_words(stage) for stage in held])
    return f"; {names} {'hold' if len(held) > 1 else 'holds'} it up: {limited.because}"


def _worth(profile: Profile, steps: Steps) -> str:
    """What an infinitely fast pipeline would bring."""
    headspace = profile.headspace
    if headspace is None:
        return ""
    if _nothing_to_gain(profile):
        return ". That is all the loop itself can take: leave its speed alone" if steps.dispatch is None else ""
    if steps.dispatch is None:
        return f". The loop itself could take {significant(1e3 / headspace.replayed_ms)} batches/s"
    brings = f". A pipeline that costs nothing would make it {significant(headspace.speedup, 2)}× as fast"
    if headspace.share < _GONE_WITH_BATCHES * _within(steps):
        # Else the share of waiting and what can be won seem to contradict each other.
        ready = milliseconds(headspace.replayed_ms)
        return (
            f"{brings}: with batches that lie ready a step still takes {ready} of {milliseconds(headspace.interval_ms)}"
        )
    return brings


def _slow_to_end(profile: Profile) -> str:
    """That ended iterators cost a training loop what the clock of the steps leaves out, where it does."""
    if not any(note.code == SLOW_DELETE for note in profile.warnings):
        return ""
    return f" A loop that lets go of its iterator after every epoch loses time between epochs ({SLOW_DELETE}, below)."


def _restarts(steps: Steps) -> str:
    """That most of the waiting comes at the start of an epoch, where it does."""
    restart = steps.restart_share or 0.0
    if restart < STEP_BOUND_BELOW or restart < steps.wait_share / 2 or not steps.epochs:
        return ""
    return (
        f". Most of it comes when the dataset starts again, every {count(steps.count / steps.epochs)} steps; "
        f"between, the device waits {percent(_within(steps))} of the time"
    )


def _starts_again(steps: Steps) -> str:
    """That without a step most of the time passes at the start of an epoch, where it does."""
    restart = steps.restart_share or 0.0
    if restart < _MOST or not steps.epochs:
        return ""
    often = count(steps.count / steps.epochs)
    return f". {percent(restart)} of the time passes while the dataset starts again, every {often} batches"


def _alone(profile: Profile, steps: Steps) -> str:
    throughput = profile.throughput
    if throughput is None or throughput.batches_per_second is None:
        return f"the pipeline alone takes {milliseconds(steps.interval_ms.mean)} per batch"
    inside = [f"{milliseconds(steps.interval_ms.mean)} per batch"]
    if throughput.elements_per_second is not None and throughput.elements_per_batch != 1:
        inside.insert(0, f"{significant(throughput.elements_per_second)} elements/s")
    return f"the pipeline alone gives {significant(throughput.batches_per_second)} batches/s ({', '.join(inside)})"


def _mode(dispatch: Dispatch | None) -> str:
    if dispatch == "sync":
        return "with dispatch sync"
    return f"with {dispatch} step{'' if dispatch == 1 else 's'} in flight"


def _owner(stages: list[Stage] | None, epochs: int) -> str:
    """Who takes most of the time inside the pipeline, where TensorFlow's model or the trace tells."""
    stage = top_stage(stages, epochs)
    if stage is None:
        return _not_known(stages, epochs)
    if stage.share is None and stage.ops:
        return (
            f"; {stage_words(stage)} takes most of the time inside the pipeline, as the trace shows (its iterators had "
            "ended whenever costs were read)"
        )
    if (stage.share or 0.0) < OWNER_FROM:
        return ""
    owners = [stage, *equal_stages(stage, stages)]
    names, shares = listed([stage_words(one) for one in owners]), listed([percent(one.share or 0.0) for one in owners])
    # Without a model all times are the trace's, which the table says.
    traced = any(one.timed_by == "trace" for one in owners) and any(one.timed_by == "model" for one in stages or [])
    how = ", as the trace shows" if traced else ""
    return f"; {names} {'have' if len(owners) > 1 else 'has'} {shares} of the time spent inside the pipeline{how}"


def _not_known(stages: list[Stage] | None, epochs: int) -> str:
    """That no stage can be named, and for want of whose costs."""
    unknown = unknown_stages(stages, epochs)
    if not unknown:
        return ""
    names = " and ".join(stage_words(stage) for stage in unknown)
    their = "its cost" if len(unknown) == 1 else "their costs"
    return f"; which stage takes the time is not known: {names} ended before {their} could be read"


def _ended_sentence(profile: Profile, steps: Steps | None) -> str | None:
    """How a run ended that did not end well, without a full stop; ``None`` for one that did."""
    if profile.complete and not profile.exit_code:
        return None
    where = f" in phase {profile.phases[-1].name}" if profile.phases else ""
    after = f" after {steps.count:,} steps" if steps else ""
    if profile.exit_code in _ENDED_BY_SIGNAL:
        return f"{_ENDED_BY_SIGNAL[profile.exit_code]}{where}{after}"
    if not profile.errors:
        return f"Not finished: the record stops{where}{after}"
    problem = profile.errors[0]
    stage = next((stage for stage in profile.stages or [] if stage.id == problem.stage), None)
    at = f" at {stage_words(stage)}" if stage else f" at {problem.stage}" if problem.stage else ""
    return f"Failed{where}{at}{after}: {_WORDS_FOR_CODES.get(problem.code, problem.code.replace('-', ' '))}"
