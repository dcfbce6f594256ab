"""The environment of the process that runs the pipeline: what its allocators keep, and edits of its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pipeprof.pipelines.changes.edits import SetEnvironment
from pipeprof.profiles.advise.rule import Threshold
from pipeprof.profiles.memory.ledger.vocabulary import HEAP, POOL, RESIDUE
from pipeprof.profiles.time.memory_problem import memory_matters
from pipeprof.profiles.view.view import PipelineView

SLACK_BYTES = Threshold("slack-bytes", 50_000_000, "bytes", "a smaller fall of the peak is within the noise")
SLACK_SHARE = Threshold("slack-share", 0.10, "of the peak above TensorFlow's runtime", "as for any saving of memory")


def slack_bytes(view: PipelineView, kind: Literal["pool", "heap"]) -> int:
    """Bytes at the peak that were free in TensorFlow's pool, or in glibc's heap; 0 where it is not known."""
    memory = view.profile.memory if view.profile is not None and view.profile.shows_memory else None
    marks = (POOL, RESIDUE) if kind == "pool" else (HEAP,)
    return sum(entry.bytes for entry in (memory.ledger if memory is not None else None) or () if entry.what in marks)


def matters(view: PipelineView, nbytes: int) -> bool:
    """Whether returning so many bytes could be seen, where memory was asked about, is large or leaks."""
    profile = view.profile
    memory = profile.memory if profile is not None else None
    if profile is None or memory is None or memory.peak_bytes is None or nbytes < SLACK_BYTES.value:
        return False
    if not memory_matters(profile):
        return False
    return nbytes >= SLACK_SHARE.value * (memory.peak_bytes - (memory.baseline_bytes or 0))


def not_set(view: PipelineView, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the run's environment has not set; what the user has chosen stays."""
    present = view.facts.environment if view.facts is not None else {}
    return {name: value for name, value in wanted.items() if name not in present}


def environment_edits(wanted: Mapping[str, str]) -> tuple[SetEnvironment, ...]:
    """One edit for each variable."""
    return tuple(SetEnvironment(name, value) for name, value in wanted.items())
