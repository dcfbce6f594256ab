"""The environment of the process that runs the pipeline: what its allocators keep, and edits of its variables."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from pipeprof.pipelines.changes.edits import PRELOAD, VALUES, SetEnvironment
from pipeprof.pipelines.static.written_calls import Imports, parsed
from pipeprof.profiles.memory.ledger import HEAP, POOL
from pipeprof.profiles.time.flow import memory_matters
from pipeprof.profiles.view.view import PipelineView, StageView, file_text

Allocator: TypeAlias = Literal["pool", "heap"]
ONE_THREAD: Final = {name: "1" for name in VALUES if name.endswith("_NUM_THREADS")}
_POOL: Final = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"
_ON_ONE_THREAD: Final = frozenset({"PIL", "h5py", "keras", "numpy", "tensorflow"})
"""Packages that start no threads of their own in a call, linear algebra aside."""
_LINEAR_ALGEBRA: Final = re.compile(r"linalg|\s@\s|\b(?:dot|einsum|inner|matmul|tensordot|vdot)\(")

SLACK_BYTES: Final = 50_000_000
"""A smaller fall of the peak is within the noise."""
SLACK_SHARE: Final = 0.10
"""Of the peak above TensorFlow's runtime, as for any saving of memory."""


def slack_bytes(view: PipelineView, kind: Allocator) -> int:
    """Bytes at the peak that were free in TensorFlow's pool, or in glibc's heap; 0 where it is not known."""
    memory = view.profile.memory if view.profile is not None and view.profile.shows_memory else None
    mark = POOL if kind == "pool" else HEAP
    return sum(entry.bytes for entry in (memory.ledger if memory is not None else None) or () if entry.what == mark)


def matters(view: PipelineView, nbytes: int) -> bool:
    """Whether returning so many bytes could be seen, where memory was asked about, is large or leaks."""
    profile = view.profile
    memory = profile.memory if profile is not None else None
    if profile is None or memory is None or memory.peak_bytes is None or nbytes < SLACK_BYTES:
        return False
    if not memory_matters(profile):
        return False
    return nbytes >= SLACK_SHARE * (memory.peak_bytes - (memory.baseline_bytes or 0))


def not_set(view: PipelineView, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the run's environment has not set; what the user has chosen stays."""
    present = view.facts.environment if view.facts is not None else {}
    return {name: value for name, value in wanted.items() if name not in present}


def environment_edits(wanted: Mapping[str, str]) -> tuple[SetEnvironment, ...]:
    """One edit for each variable."""
    return tuple(SetEnvironment(name, value) for name, value in wanted.items())


def allocator_settings(view: PipelineView) -> dict[Allocator, dict[str, str]]:
    """Return the variables that let an allocator return what is free; none that the user has set."""
    library = view.facts.allocator if view.facts is not None else None
    present = view.facts.environment if view.facts is not None else {}
    heap = {PRELOAD: library} if library is not None else _values("MALLOC_")
    return {"pool": not_set(view, _values(_POOL)), "heap": {} if PRELOAD in present else not_set(view, heap)}


def _values(beginning: str) -> dict[str, str]:
    return {name: value for name, value in VALUES.items() if name.startswith(beginning) and value is not None}


def may_start_threads(stage: StageView) -> bool:
    """Whether the file of a stage uses a package that may start threads; NumPy does so in linear algebra only."""
    text = file_text(stage.location.file) if stage.location is not None else ""
    tree = parsed(text)
    if not text or tree is None:
        return True
    packages = {name.partition(".")[0] for name in Imports(tree).names.values()}
    return bool(packages - sys.stdlib_module_names - _ON_ONE_THREAD) or bool(_LINEAR_ALGEBRA.search(text))
