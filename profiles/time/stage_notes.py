"""Texts of the table of stages: warnings about its numbers, and what a row of a tf.data service says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.stages import Service, Stage
from pipeprof.profiles.wording import listed, percent, phase_words, significant, stage_label, stage_labels

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.costs.costs import Costs
    from pipeprof.pipelines.graph.stages import StageGraph
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.protocol.messages import Swallowed


_UNATTRIBUTED_SHARE = 0.01


CAVEATS = {
    "unseen": "The cost{s} of {names} {are} unknown: {they} finished before {they} could be read.",
    "barely": "The cost{s} of {names} {are} unknown: {they} {were} read for less than {seen} of {their} elements.",
    "traced": "The time{s} of {names} {are} {estimates}: {they} finished before {they} could be read, so {they} {come} "
    "from the (slower) trace.",
    "scaled": "The cost{s} of {names} {are} scaled up: {they} restarted while measured, and {were} read for at least "
    "{seen} of the elements.",
}
"""On the numbers of some stages."""
_OF_ONE = {
    "s": "", "are": "is", "were": "was", "they": "it", "their": "its", "estimates": "an estimate", "come": "comes",
}  # fmt: skip
_OF_SEVERAL = {word: word for word in _OF_ONE}


def caveat_text(caveat: str, stages: Sequence[Stage], seen: float = 0.0) -> str:
    """Write one of `CAVEATS`; `seen` is the smallest part of a stage's elements whose cost was read."""
    words = _OF_SEVERAL if len(stages) > 1 else _OF_ONE
    return CAVEATS[caveat].format(names=stage_labels(stages), seen=percent(seen), **words)


def swallowed_message(by: Stage, stage: Stage | None, taken: int, lost: float, seen: Swallowed | None) -> Message:
    """Warn that elements are missing because their errors were swallowed.

    Args:
        by: It swallowed them.
        stage: It raised them, by the counters of the run; None where only a reading after it shows them.
        taken: Elements that went into it, of which at least `lost` are missing.
    """
    which = "were read before it after the measurement,"
    if stage is not None:
        which = f"went into {stage_label(stage)}, at least"
    example = f" The first error: {seen.example.rstrip('.')}." if seen is not None else ""
    text = (
        f"{stage_label(by)} hides errors: of {taken:,} elements that {which} {lost:,.0f} "
        f"({percent(lost / taken)}) raised one and are missing.{example} `ignore_errors(log_warning=True)` prints them."
    )
    stages = [one.id for one in (stage, by) if one is not None]
    return Message(code="errors-ignored", message=text, stages=stages)


def total_seconds(costs: Costs) -> float:
    """All time inside stages, that of no stage included."""
    return sum(cost.seconds for cost in costs.by_id.values()) + costs.unattributed_seconds


def model_messages(costs: Costs, executed: StageGraph, *, read: bool) -> list[Message]:
    """Warn that there is no model, or that some of its time belongs to no stage."""
    if not read:
        why = "" if executed.has("Model") else " (autotune is off)"
        text = f"TensorFlow's model, which has the costs of the stages, could not be read{why}."
        return [Message(code="stages-no-model", message=text)]
    total = total_seconds(costs)
    if total and costs.unattributed_seconds / total >= _UNATTRIBUTED_SHARE:
        share = costs.unattributed_seconds / total
        what = ", ".join(sorted(set(costs.unattributed)))
        text = f"{percent(share)} of the time inside stages could not be attributed to one of them ({what})."
        return [Message(code="stages-unattributed", message=text)]
    return []


def describe_service(service: Service) -> str:
    """Name a service in a sentence, with its workers as far as they are known.

    Example:
        >>> describe_service(Service(address="localhost:7500", workers=2))
        'the tf.data service at localhost:7500 (2 workers)'
    """
    workers = "" if service.workers is None else f" ({service.workers:,} worker{'' if service.workers == 1 else 's'})"
    at = f" at {service.address}" if service.address else ""
    return f"the tf.data service{at}{workers}"


def service_words(service: Service) -> str:
    """What a row of a service says of it: how it shares the data, how elements travel, and what is not known of it."""
    requests = service.max_outstanding_requests or service.requests
    said = (
        describe_service(service).removeprefix("the "),
        service.processing_mode,
        f"job {service.job_name}" if service.job_name else None,
        f"consumer {service.consumer_index} of {service.num_consumers}" if service.num_consumers else None,
        "cross-trainer cache" if service.cross_trainer_cache else None,
        f"compression {service.compression}" if service.compression else None,
        f"{requests:g} requests at a time" if requests else None,
        None if service.known else "its stages are n/a: registered by another process",
    )
    return ", ".join(text for text in said if text)


def with_workers(stages: Sequence[Stage], workers: Mapping[str, int]) -> list[Stage]:
    """Return the stages with the `workers` that were started for the run, by the address of their dispatcher."""

    def known(stage: Stage) -> Stage:
        if stage.service is None:
            return stage
        service = stage.service.model_copy(update={"workers": workers.get(stage.service.address or "")})
        return stage.model_copy(update={"service": service, "executed": service_words(service)})

    return [known(stage) for stage in stages]


_WITHOUT_BATCH = ("import", "data", "build")
"""Phases in which no batch can come."""
_STOPPED = ("max-time", "hung")
"""Codes of runs that pipeprof itself stopped."""
_ENDED_BY_SIGNAL = {129: "The terminal was closed", 130: "Interrupted", 143: "Terminated"}
_WORDS_FOR_CODES = {
    "build": "TensorFlow refuses it",
    "channel-closed": "the code closed the worker's pipes",
    "crashed": "the worker crashed",
    "empty": "the dataset is empty",
    "exited": "the worker ended by itself",
    "hung": "it hangs",
    "killed": "the worker was killed",
    "max-time": "--max-time was reached",
    "raised": "the pipeline raised an error",
    "service": "its tf.data service is at fault",
    "step-raised": "the step raised an error",
}
_WORDS_FOR_SCRIPTS = {"exited": "the script exited", "raised": "the script raised an error"}
_REFUSED_BY_GPU = re.compile(
    r"\bCUDA(?: error)?: out of memory|\b(?:CUDA|HIP) out of memory\b|\bOut of memory\b.*?\ballocator GPU_\d"
    r"|\bOOM when allocating\b.*?\bGPU:\d",
    re.DOTALL,
)
"""What PyTorch, JAX and TensorFlow say when a GPU refuses memory; the host's has the code `out-of-memory`."""


def describe_known(profile: Profile) -> str:
    """State how far a run came that was stopped before its first step; empty for one that failed by itself."""
    problem = profile.errors[0].code if profile.errors else None
    if (profile.exit_code not in _ENDED_BY_SIGNAL and problem not in _STOPPED) or not profile.phases:
        return ""
    *passed, last = [(phase.name, phase.seconds) for phase in profile.phases]
    took = [f"{phase_words(name)} {significant(seconds)} s" for name, seconds in passed if seconds is not None]
    ended = f"took {significant(last[1])} s" if last[1] is not None else "had not ended"
    before = f"{listed(took)}; " if took else ""
    return f"{before}{phase_words(last[0])} {ended}; rate, waiting and memory of the pipeline are unknown"


def describe_ending(profile: Profile, steps: Steps | None) -> str:
    """State how a run ended that did not end well; empty for one that did."""
    if profile.complete and (not profile.exit_code or profile.verification is not None):
        # What was interrupted is the verification, after the measurement.
        return ""
    where = f" in phase {phase_words(profile.phases[-1].name)}" if profile.phases else ""
    after = f" after {steps.count:,} steps" if steps else f", before the first {_not_reached(profile)}"
    if profile.exit_code in _ENDED_BY_SIGNAL:
        return f"{_ENDED_BY_SIGNAL[profile.exit_code]}{where}{after}."
    if not profile.errors:
        return f"Not finished: the record stops{where}{after}."
    problem = profile.errors[0]
    if problem.code == "never-iterated":
        return "Nothing was measured: the script took no two batches of a tf.data dataset."
    stage = next((stage for stage in profile.stages or [] if stage.id == problem.stage), None)
    place = f"{problem.file}:{problem.line}" if problem.file and problem.line else None
    at = f" at {stage_label(stage)}" if stage else f" at {place}" if place else ""
    words: Mapping[str, str] = _WORDS_FOR_CODES
    if profile.target.kind == "script":
        words = _WORDS_FOR_CODES | _WORDS_FOR_SCRIPTS
    reason = words.get(problem.code, problem.code.replace("-", " "))
    if problem.code in ("raised", "step-raised") and _REFUSED_BY_GPU.search(problem.message):
        reason = "the memory of the GPU was not enough"
    return f"Failed{at}{where}{after}: {reason}."


def _not_reached(profile: Profile) -> str:
    last = profile.phases[-1] if profile.phases else None
    if last is None or last.name in _WITHOUT_BATCH or (last.name == "first_element" and last.seconds is None):
        return "batch"
    # A second Ctrl-C does not wait for the steps that the worker has measured.
    hurried = last.name == "measure" and profile.exit_code in _ENDED_BY_SIGNAL
    return "reported step" if hurried else "measured step"
