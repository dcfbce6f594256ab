"""Shares of waiting from which a run is bound by its step or by its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Bound

STEP_BOUND_BELOW = 0.05
"""Share of waiting below which the step sets the pace (xprof: not input-bound)."""

HEADSPACE_FROM = 0.05
"""Share of a step's time that cached batches must save to be more than the noise of a run."""

INPUT_BOUND_FROM = 0.20
"""Share of waiting from which the pipeline sets the pace (xprof: highly input-bound)."""


def classify_wait(wait_share: float) -> Bound:
    """Classify a share of waiting between 0 and 1.

    Example:
        >>> classify_wait(0.01), classify_wait(0.05), classify_wait(0.20)
        ('step', 'balanced', 'input')
    """
    if wait_share < STEP_BOUND_BELOW:
        return "step"
    return "input" if wait_share >= INPUT_BOUND_FROM else "balanced"
