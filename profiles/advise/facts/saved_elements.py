"""Whether what a stage gives could be saved once and loaded in every epoch: the same elements, in the same order."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Final

from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.facts.stages import runs_python
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import inside, main_line

LEAST_SAVED: Final = 0.1
"""Share of the pipeline's work that loading has to save."""
READ_MB_PER_SECOND: Final = 1_100.0
"""That `tf.data.Dataset.load` gives of pictures of 150 KB from the page cache, on one thread. TensorFlow 2.21."""
READ_US_PER_ELEMENT: Final = 10.0
"""That an element takes in addition: 98,000 per second of 784 bytes and a label. TensorFlow 2.21."""
_ENDLESS: Final = -1
_VARIANT: Final = "variant"
_ROWS_OF_ARRAY: Final = re.compile(r"\w*Gather\w*|Slice")
_TIMES_THE_BYTES: Final = 2.0
"""What a stage gives over what it gets, from which it gives the same bytes again and again."""
_SOURCE: Final = "source"


def can_be_saved(profile: Profile, stage: Stage) -> bool:
    """Whether files of what a stage gives are the same data, without most of it many times, and save much of the work.

    Python functions may draw random numbers: what they give counts as different in each epoch.
    """
    line = main_line(profile)
    place = next((at for at, one in enumerate(line) if one.id == stage.id), None)
    if place is None or any(component.dtype == _VARIANT for component in stage.element_spec or ()):
        return False
    made = [other for one in line[: place + 1] for other in (one, *inside(profile, one))]
    return not any(map(_differs, made)) and not _multiplies(profile, made) and _saves(profile, line, place)


def _differs(stage: Stage) -> bool:
    """Whether a stage may give other elements, or another order, in another epoch, or gives no end of them."""
    row = traits(stage.op)
    return (
        stage.cardinality == _ENDLESS
        or bool(stage.random)
        or runs_python(stage)
        or (stage.tf_op is not None and traits(executed(stage.tf_op).op).shuffles)
        or row.reorders
        or row.repeats
        or row.stores
        or row.windows
    )


def _multiplies(profile: Profile, stages: Sequence[Stage]) -> bool:
    """Whether files would have the same rows many times: of windows that are cut out of an array, or of a sequence.

    Args:
        stages: What files would replace, in the order of the data.
    """
    if traits(stages[0].op).generates_numbers:
        return any(_ROWS_OF_ARRAY.fullmatch(op.op) for stage in stages for op in stage.ops or ())
    for before, stage in itertools.pairwise(one for one in stages if one.depth == 0):
        given, taken = stage.bytes_out_per_batch or 0.0, before.bytes_out_per_batch or math.inf
        sources = [one for one in inside(profile, stage) if one.id.rpartition(".")[2] == _SOURCE]
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
