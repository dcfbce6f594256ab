"""What a training waits for in the iterator of its `tf.distribute` strategy, not in its pipeline: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import SOURCES, STAGES, traits
from pipeprof.profiles.time.limits.restarts import wait_within_epochs
from pipeprof.profiles.time.top_stage import unknown_stages

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

MOST_PART = 1 / 5
"""Of the wait, up to which the pipeline's work shows that most of the wait is the strategy's: stages are read without
the training; if they take up to 2.5 times as long in it, at least half of the wait is the iterator's."""


def work_behind_strategy(profile: Profile) -> float | None:
    """Return the pipeline's work on one batch, in milliseconds, where its strategy's iterator causes most of the wait.

    The work is that of all stages on all threads, in another reading of the dataset without the training.

    Returns:
        None where no strategy distributes the dataset, the time of a stage is not known, or the wait may be the
        pipeline's: also where another reading may be faster than that of the training was.
    """
    training, steps = profile.training, profile.steps
    main = next((use for use in training.datasets if use.main), None) if training is not None else None
    if main is None or not main.devices or steps is None or not steps.wait_share or not profile.stages:
        return None
    if unknown_stages(profile.stages, steps.epochs) or not all(map(_takes_as_long_again, profile.stages)):
        return None
    work = sum(stage.inside_ms or 0.0 for stage in profile.stages)
    return work if 0 < work <= MOST_PART * wait_within_epochs(steps) * steps.interval_ms.mean else None


def _takes_as_long_again(stage: Stage) -> bool:
    """Whether nothing in a stage is faster once it was read: files, caches, and functions, which may read or wait."""
    row = traits(stage.op)
    if stage.op in SOURCES:
        return row.in_memory or row.generates_numbers
    return stage.op in STAGES and row.function is None and not (row.opaque or row.stores or row.remote)
