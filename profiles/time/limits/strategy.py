"""What a training waits for in the iterator of its `tf.distribute` strategy, not in its pipeline: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.time.limits.restarts import wait_within_epochs
from pipeprof.profiles.time.top_stage import unknown_stages

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

MOST_PART = 1 / 3
"""Of the wait, up to which the pipeline's work shows that most of the wait is the strategy's."""


def work_behind_strategy(profile: Profile) -> float | None:
    """Return the pipeline's work on one batch, in milliseconds, where its strategy's iterator causes most of the wait.

    The work is that of all stages on all threads, waits of their own included: without it a step would be shorter by so
    much at most.

    Returns:
        None where no strategy distributes the dataset, the time of a stage is not known, or the wait may be the
        pipeline's.
    """
    training, steps = profile.training, profile.steps
    main = next((use for use in training.datasets if use.main), None) if training is not None else None
    if main is None or not main.devices or steps is None or not steps.wait_share or not profile.stages:
        return None
    if unknown_stages(profile.stages, steps.epochs):
        return None
    work = sum(stage.inside_ms or 0.0 for stage in profile.stages)
    return work if 0 < work <= MOST_PART * wait_within_epochs(steps) * steps.interval_ms.mean else None
