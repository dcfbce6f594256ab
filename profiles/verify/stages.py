"""What a faster pipeline would bring, and which stages run Python: pure functions."""

from __future__ import annotations

import math

from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace, Stage
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.time.thresholds import STEP_BOUND_BELOW

STORED_BATCHES = 3
"""In place of a script's pipeline."""
_A_GAIN = -math.log1p(-STEP_BOUND_BELOW)
"""The smallest one of the step, on the scale of the decision."""


def pays(profile: Profile) -> bool:
    """Whether a faster pipeline would make the steps faster."""
    verdict, headspace = profile.verdict, profile.headspace
    if verdict is None or verdict.bound not in ("input", "balanced"):
        return False
    return headspace is None or headspace.share >= 0.05


def runs_python(stage: Stage) -> bool:
    """Whether a stage calls Python, as far as the run has shown."""
    row = traits(stage.op)
    return bool(stage.python) or any(op.op in PYTHON for op in stage.ops or ()) or (row.computes and row.wrapped)


def tells_headspace(compared: Comparison | None) -> bool:
    """Whether it is certain what stored batches bring: a gain, or next to nothing.

    The interval of the fewest pairs is wide enough alone. That of more also has to hold against what processes differ
    by from their start on, which no number of pairs averages out.

    Args:
        compared: The steps with stored batches against those of the script.
    """
    if compared is None:
        return False
    if compared.change.pairs > QUICK.early and not (compared.exceeds(_A_GAIN) or compared.falls_short(_A_GAIN)):
        return False
    return compared.change.low >= math.exp(_A_GAIN) or compared.change.high < math.exp(_A_GAIN)


def headspace_of(interval_ms: float, compared: Comparison | None) -> Headspace | None:
    """Return what stored batches bring; None where it may be next to nothing, or not."""
    if compared is None or not tells_headspace(compared):
        return None
    return Headspace.of(interval_ms, interval_ms / compared.change.value, STORED_BATCHES)
