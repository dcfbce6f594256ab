"""The verdict: what the training loop was bound by, as a headline with details.

The two marks on the share of waiting are those of the TensorFlow profiler's input-pipeline analysis: below 5 % of
the step it calls a program not input-bound, from 20 % on highly input-bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.document.findings import Verdict, VerdictDetail
from pipeprof.profiles.time.bottleneck import find_bottleneck, label_stages, share_of_work
from pipeprof.profiles.time.memory_problem import describe_memory_problem
from pipeprof.profiles.time.top_stage import equal_stages, top_stage, unknown_stages
from pipeprof.profiles.wording import free_pipeline_text, milliseconds, part_of, percent, significant, stage_label

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Bound
    from pipeprof.profiles.document.measured import Steps
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Headspace, Stage
    from pipeprof.profiles.time.bottleneck import Bottleneck

STEP_BOUND_BELOW = 0.05
"""Share of waiting below which the step sets the pace (xprof: not input-bound)."""

INPUT_BOUND_FROM = 0.20
"""Share of waiting from which the pipeline sets the pace (xprof: highly input-bound)."""

OWNER_FROM = 0.25
"""Share of the pipeline's work from which a stage is named for it alone."""

_GONE_WITH_BATCHES = 0.5
"""Share of the waiting that preloaded batches must save, so that the two numbers need no explanation."""
NOTHING_TO_CHANGE = "nothing to change"
"""Label of the detail of a run with neither speed to gain nor anything else to change."""
SLOW_DELETE = "slow-delete"
"""Code of the warning that finished iterators were slow to delete."""
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


def classify_wait(wait_share: float) -> Bound:
    """Classify a share of waiting between 0 and 1.

    Example:
        >>> classify_wait(0.01), classify_wait(0.05), classify_wait(0.20)
        ('step', 'balanced', 'input')
    """
    if wait_share < STEP_BOUND_BELOW:
        return "step"
    return "input" if wait_share >= INPUT_BOUND_FROM else "balanced"


def conclude(profile: Profile) -> Verdict:
    """Conclude from what was measured.

    Reads ``steps``, ``throughput``, ``stages``, ``causes``, ``headspace``, ``memory``, ``findings`` and, for a run that
    did not end well, ``exit_code``, ``phases`` and ``errors``; changes nothing.

    Returns:
        The verdict; ``bound`` is ``None`` when no step was measured, ``limit`` where no measurement shows it.
    """
    steps = profile.steps if profile.steps and profile.steps.count else None
    ended = _ending(profile, steps)
    memory = describe_memory_problem(profile)
    details = [VerdictDetail(label="memory", text=memory)] if memory else []
    if steps is None:
        return _verdict(ended or "Nothing was measured.", details)
    bound = _bound(profile, steps)
    bottleneck = find_bottleneck(profile) if bound in ("input", "balanced") else None
    if _nothing_to_gain(profile) and bottleneck is not None and bottleneck.limit != "memory":
        bottleneck = None
    headline = _headline(profile, steps, bound)
    details = [*_speed_details(profile, steps, bound, bottleneck), *details]
    if ended:
        until_then = f"{headline[0].lower()}{headline[1:]}".rstrip(".").replace(": ", ", ", 1)
        details = [VerdictDetail(label="until then", text=until_then), *details]
    return _verdict(
        ended or headline,
        details,
        bound=bound,
        limit="step" if bound == "step" else bottleneck.limit if bottleneck is not None else None,
        stage=bottleneck.stage.id if bottleneck is not None and bottleneck.stage is not None else None,
        headspace_share=profile.headspace.share if profile.headspace is not None else None,
    )


def _verdict(headline: str, details: list[VerdictDetail], **quantities: object) -> Verdict:
    sentences = [headline, *(f"{detail.label.capitalize()}: {detail.text}." for detail in details)]
    return Verdict.model_validate(
        {"headline": headline, "details": details, "sentence": " ".join(sentences), **quantities}
    )


def _nothing_to_gain(profile: Profile) -> bool:
    """Whether preloaded batches came no faster: then the pipeline is not the bottleneck."""
    return profile.headspace is not None and profile.headspace.share < STEP_BOUND_BELOW


def _bound(profile: Profile, steps: Steps) -> Bound:
    if steps.dispatch is None:
        return "input"
    if _nothing_to_gain(profile):
        return "step"
    if (steps.restart_share or 0.0) >= STEP_BOUND_BELOW:
        return classify_wait(steps.wait_share)
    return classify_wait(_wait_within_epochs(steps))


def _wait_within_epochs(steps: Steps) -> float:
    """The share of waiting without the restarts of the dataset."""
    restart = steps.restart_share or 0.0
    return (steps.wait_share - restart) / (1 - restart) if restart < 1 else 0.0


def _headline(profile: Profile, steps: Steps, bound: Bound) -> str:
    if steps.dispatch is None:
        return _headline_without_step(profile, steps)
    share = percent(steps.wait_share)
    of_every = part_of(steps.wait_ms.mean, steps.interval_ms.mean)
    waits = f"the device waits for data {share} of the time ({of_every})"
    if bound == "balanced":
        return f"Balanced: {waits}."
    if bound == "input":
        return f"Input-bound: {waits}."
    if max(steps.wait_share, _wait_within_epochs(steps)) < STEP_BOUND_BELOW:
        return f"Step-bound: {waits}."
    if _nothing_to_gain(profile):
        return f"Step-bound: {waits}, and barely less with preloaded batches."
    within = percent(_wait_within_epochs(steps))
    return f"Step-bound: within an epoch the device waits for data {within} of the time ({share} with the restarts)."


def _headline_without_step(profile: Profile, steps: Steps) -> str:
    throughput, headspace = profile.throughput, profile.headspace
    if throughput is None or throughput.batches_per_second is None:
        rate = f"{milliseconds(steps.interval_ms.mean)} per batch"
    else:
        rate = f"{significant(throughput.batches_per_second)} batches/s"
    reaches = f"; an empty loop reaches {significant(1e3 / headspace.replayed_ms)}" if headspace is not None else ""
    return f"Pipeline alone: {rate} (no training step given{reaches})."


def _speed_details(profile: Profile, steps: Steps, bound: Bound, bottleneck: Bottleneck | None) -> list[VerdictDetail]:
    found = []
    if bottleneck is not None:
        found.append(("bottleneck", bottleneck.text))
        if bottleneck.stage is None and bottleneck.limit != "memory":
            found.append(("most work", _unknown_costs(profile.stages, steps.epochs)))
    elif bound != "step" and not _nothing_to_gain(profile):
        found.append(("most work", _most_work(profile.stages, steps.epochs)))
    found.append(("restarts", _restarts(steps, bound)))
    if profile.headspace is not None and (bound != "step" or _nothing_to_gain(profile)):
        label = "at best"
        if _nothing_to_gain(profile):
            label = NOTHING_TO_CHANGE if _is_healthy(profile) else "speed"
        found.append((label, _at_best(profile, profile.headspace, steps)))
    elif bound == "step":
        found.append(("pipeline", "keeps up with the step"))
    if any(note.code == SLOW_DELETE for note in profile.warnings) and bound == "step":
        text = f"a loop that drops its iterator after every epoch also waits for TensorFlow to free it ({SLOW_DELETE})"
        found.append(("epochs", text))
    return [VerdictDetail(label=label, text=text) for label, text in found if text]


def _at_best(profile: Profile, headspace: Headspace, steps: Steps) -> str:
    """State what a pipeline without any cost would bring."""
    if _nothing_to_gain(profile):
        return free_pipeline_text(headspace.share)
    if steps.dispatch is None:
        return ""
    brings = f"{significant(headspace.speedup, 2)}× faster, if the pipeline cost nothing"
    if headspace.share < _GONE_WITH_BATCHES * _wait_within_epochs(steps):
        # Without it, the share of waiting and the possible gain seem to contradict each other.
        step = part_of(headspace.replayed_ms, headspace.interval_ms)
        return f"{brings} (with preloaded batches a step still takes {step})"
    return brings


def _is_healthy(profile: Profile) -> bool:
    """Whether there is nothing to change: the run is complete, and neither memory, rules nor epochs say otherwise."""
    slow_delete = any(note.code == SLOW_DELETE for note in profile.warnings)
    return profile.complete and not profile.findings and not slow_delete and not describe_memory_problem(profile)


def _restarts(steps: Steps, bound: Bound) -> str:
    """State what the restarts of the dataset cost, where it is much of the waiting."""
    share = steps.restart_share or 0.0
    if share < STEP_BOUND_BELOW or (share < steps.wait_share / 2 and steps.dispatch is not None) or not steps.epochs:
        return ""
    often = "1 restart" if steps.epochs == 1 else f"{steps.epochs:,} restarts"
    text = f"the data set is short: {often} took {percent(share)} of the time"
    if steps.dispatch is None or bound == "step":
        return text
    return f"{text}; between them the device waits {percent(_wait_within_epochs(steps))} of the time"


def _most_work(stages: list[Stage] | None, epochs: int) -> str:
    """Name the stages with most of the pipeline's work, where TensorFlow's model or the trace has it."""
    stage = top_stage(stages, epochs)
    if stage is None:
        return _unknown_costs(stages, epochs)
    if stage.share is None and stage.ops:
        return f"{stage_label(stage)}, by the trace (it had finished when costs were read)"
    if (stage.share or 0.0) < OWNER_FROM:
        return ""
    owners = [stage, *equal_stages(stage, stages)]
    # Without a model all times come from the trace, and the table of stages says so.
    traced = any(one.timed_by == "trace" for one in owners) and any(one.timed_by == "model" for one in stages or [])
    estimate = " (estimated from the trace)" if traced else ""
    return f"{label_stages(owners)}, {share_of_work(owners)}{estimate}"


def _unknown_costs(stages: list[Stage] | None, epochs: int) -> str:
    """State that the costliest stage is unknown, and which costs are missing."""
    unknown = unknown_stages(stages, epochs)
    if not unknown:
        return ""
    their = "its cost" if len(unknown) == 1 else "their costs"
    return f"unknown: {label_stages(unknown)} finished before {their} could be read"


def _ending(profile: Profile, steps: Steps | None) -> str | None:
    """State how a run ended that did not end well; ``None`` for one that did."""
    if profile.complete and not profile.exit_code:
        return None
    where = f" in phase {profile.phases[-1].name}" if profile.phases else ""
    after = f" after {steps.count:,} steps" if steps else ", before the first measured step"
    if profile.exit_code in _ENDED_BY_SIGNAL:
        return f"{_ENDED_BY_SIGNAL[profile.exit_code]}{where}{after}."
    if not profile.errors:
        return f"Not finished: the record stops{where}{after}."
    problem = profile.errors[0]
    stage = next((stage for stage in profile.stages or [] if stage.id == problem.stage), None)
    place = f"{problem.file}:{problem.line}" if problem.file and problem.line else None
    at = f" at {stage_label(stage)}" if stage else f" at {place}" if place else ""
    reason = _WORDS_FOR_CODES.get(problem.code, problem.code.replace("-", " "))
    return f"Failed{at}{where}{after}: {reason}."
