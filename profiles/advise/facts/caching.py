"""What stages give that can be kept for later epochs: caches, what they hold, and what could be saved once."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, new_ops
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.facts.byte_gate import in_function
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import inside, line_of, main_line
from pipeprof.profiles.view.view import PipelineView, StageView, owners
from pipeprof.profiles.wording import size

if TYPE_CHECKING:
    from pipeprof.profiles.advise.proposal import Proposal
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.shared import Steps


LEAST_EPOCHS = 3
"""Epochs in the measured run, from which the length of one is known by counting."""
LONGEST_EPOCH = 1.5
"""Seconds of an epoch that is over when the warm-up of a trial is."""
BEYOND_EPOCH = 1.1
"""Warm-up of a pipeline with a cache, in epochs: what was counted of an epoch may lack some elements."""


@dataclass(frozen=True)
class Filling:
    """What a pipeline does before it reads a cache: the epoch in which it fills, after two more that are compared."""

    steps: int = 0
    seconds: float = 0.0
    compares: bool = False

    @property
    def trial_seconds(self) -> float:
        """Seconds by which both processes of a trial are longer."""
        return (4 if self.compares else 2) * self.seconds


def filling(profile: Profile, edits: Iterable[PipelineEdit]) -> Filling:
    """Return the epoch in which a cache fills, where edits insert or move one, or move work before it."""
    steps, filled = profile.steps, _filled(profile, edits)
    if steps is None or not filled:
        return Filling()
    # Each of several caches must be full.
    passes = min(max((_epochs(stage, steps) for stage in line_of(profile, place)), default=0.0) for place in filled)
    if not passes:
        return Filling()
    longest = steps.count / passes
    seconds = longest * steps.interval_ms.mean / 1e3
    # Addresses of later edits are those of the edited pipeline: wherever Python runs, it may be before the cache.
    python = any(runs_python(stage) for stage in profile.stages or ())
    return Filling(math.ceil(BEYOND_EPOCH * longest), seconds, python)


def _filled(profile: Profile, edits: Iterable[PipelineEdit]) -> set[str | None]:
    """The caches that edits put something into, and the stages whose elements a new one keeps."""
    caches = {stage.id for stage in profile.stages or () if traits(stage.op).stores}
    found: set[str | None] = set()
    for edit in edits:
        if isinstance(edit, InsertStage) and traits(edit.op).stores:
            found.add(edit.after)
        elif isinstance(edit, MoveStage) and traits(edit.op).stores:
            found.add(edit.stage)
        elif isinstance(edit, MoveStage) and traits(edit.op).maps and edit.before in caches:
            found.add(edit.before)
    return found


def _epochs(stage: Stage, steps: Steps) -> float:
    """Passes over a stage's elements in the measured window, whether the loop or the pipeline repeats them."""
    count = stage.cardinality if stage.cardinality is not None else stage.pass_elements
    if steps.epochs >= LEAST_EPOCHS or not count or count < 0:
        return steps.passes
    return (stage.elements or 0.0) / count


def why_no_cache(profile: Profile, change: Proposal | Finding, limit: int | None) -> str | None:
    """Return why a change that keeps elements in memory is no recommendation; None where it may be one."""
    kept = change.cache
    if kept is None:
        return None
    if profile.no_cache and any(traits(op).stores for op in new_ops(change.edits)):
        return "--no-cache leaves caches out"
    # What is kept is seldom much less than what is stored.
    needed = kept.bytes or (profile.data_size.bytes if profile.data_size is not None else None)
    if needed is None or limit is None or needed + (profile.memory.peak_bytes or 0) <= limit:
        return None
    about = "about " if kept.bytes is None else ""
    return f"a cache of the whole data set takes {about}{size(needed)}, the memory limit is {size(limit)}"


def freezes(view: PipelineView, stage: StageView) -> bool:
    """Whether the stage stores all elements of one pass, in their order, and serves these in every later epoch."""
    if not traits(stage.op).stores or stage.injected:
        return False
    # In a function it is rebuilt with every call; without an end, or read only in part, it never completes: none of
    # these serves a second epoch.
    rebuilt = in_function(view, stage) and not stage.arguments.get("filename")
    before = view.input_of(stage)
    endless = before is not None and before.elements == INFINITE
    return not (rebuilt or endless or view.ever_after(stage, "cuts", lambda after: _cuts(view, after)))


def frozen_by(view: PipelineView, stage: StageView) -> StageView | None:
    """The first stage after another one that freezes what comes out of it, in the pipelines around it too."""
    for start in (stage, *owners(view, stage)):
        if (cache := view.first_after(start, "frozen_by", lambda after: freezes(view, after))) is not None:
            return cache
    return None


def _cuts(view: PipelineView, stage: StageView) -> bool:
    row = traits(stage.op)
    if not row.ends_early or row.counts is None:
        return row.ends_early
    before, count = view.input_of(stage), stage.arguments.get(row.counts)
    if not isinstance(count, int) or count < 0:
        return not isinstance(count, int)
    return before is None or before.elements is None or before.elements < 0 or count < before.elements


LEAST_SAVED: Final = 0.1
"""Share of the pipeline's work that loading has to save."""
READ_MB_PER_SECOND: Final = 1_100.0
"""That `tf.data.Dataset.load` gives of pictures of 150 KB from the page cache, on one thread. TensorFlow 2.21."""
READ_US_PER_ELEMENT: Final = 10.0
"""That an element takes in addition: 98,000 per second of 784 bytes and a label. TensorFlow 2.21."""
_ROWS_OF_ARRAY: Final = re.compile(r"\w*Gather\w*|Slice")
_TIMES_THE_BYTES: Final = 2.0
"""What a stage gives over what it gets, from which it gives the same bytes again and again."""


def can_be_saved(profile: Profile, stage: Stage) -> bool:
    """Whether files of what a stage gives are the same data, without most of it many times, and save much of the work.

    Python functions may draw random numbers: what they give counts as different in each epoch.
    """
    line = main_line(profile)
    place = next((at for at, one in enumerate(line) if one.id == stage.id), None)
    if place is None or any(component.dtype == "variant" for component in stage.element_spec or ()):
        return False
    made = [other for one in line[: place + 1] for other in (one, *inside(profile, one))]
    return not any(map(_differs, made)) and not _multiplies(profile, made) and _saves(profile, line, place)


def _differs(stage: Stage) -> bool:
    row = traits(stage.op)
    return (
        stage.cardinality == INFINITE
        or bool(stage.random)
        or runs_python(stage)
        or (stage.tf_op is not None and traits(executed(stage.tf_op).op).shuffles)
        or row.reorders
        or row.repeats
        or row.stores
        or row.windows
    )


def _multiplies(profile: Profile, stages: Sequence[Stage]) -> bool:
    """Whether files would have the same rows many times: of windows that are cut out of an array, or of a sequence."""
    if traits(stages[0].op).generates_numbers:
        return any(_ROWS_OF_ARRAY.fullmatch(op.op) for stage in stages for op in stage.ops or ())
    for before, stage in itertools.pairwise(one for one in stages if one.depth == 0):
        given, taken = stage.bytes_out_per_batch or 0.0, before.bytes_out_per_batch or math.inf
        sources = [one for one in inside(profile, stage) if one.id.rpartition(".")[2] == "source"]
        if (
            (stage.inputs_each or 1.0) < 1
            and given >= _TIMES_THE_BYTES * taken
            and all(traits(one.op).in_memory for one in sources)
        ):
            return True
    return False


def _saves(profile: Profile, line: Sequence[Stage], place: int) -> bool:
    """Whether loading takes less time than the stages do, by a share of the pipeline's work."""
    work = [sum(one.active_ms or 0.0 for one in (stage, *inside(profile, stage))) for stage in line]
    steps = profile.steps.count if profile.steps is not None else 0
    elements = (line[place].elements or 0) / steps if steps else 0.0
    nbytes = line[place].bytes_out_per_batch or (line[place].bytes_per_element or 0.0) * elements
    reading = nbytes / (1e3 * READ_MB_PER_SECOND) + 1e-3 * READ_US_PER_ELEMENT * elements
    return sum(work[: place + 1]) - reading >= LEAST_SAVED * sum(work) > 0


def runs_python(stage: Stage) -> bool:
    """Whether a stage calls Python, as far as the run has shown."""
    row = traits(stage.op)
    return bool(stage.python) or any(op.op in PYTHON for op in stage.ops or ()) or (row.computes and row.wrapped)
