"""The sentences of a run that did not end well, for the verdict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeprof.profiles.wording import listed, phase_words, significant, stage_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Steps

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
