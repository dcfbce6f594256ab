"""Maps in a row made one: an element is handed over and a function called once instead of once per map; pure functions.

TensorFlow fuses maps with the option ``map_fusion``, which is off, where they have as many calls at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeprof.pipelines.edits.edits import PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.model.costs import Costs
from pipeprof.profiles.verify.guessing.many_calls import PARALLEL_CALLS
from pipeprof.profiles.verify.stages import runs_python

FUSION_OPTION: Final = "experimental_optimization.map_fusion"
LEAST_SAVED: Final = 0.05
"""Share of the time from one batch to the next from which the calls that fusing saves are worth a try."""


def maps_to_fuse(profile: Profile, costs: Costs) -> list[Stage]:
    """Return the maps that follow each other on the main line, where their calls take a good part of the time.

    Those that run Python or draw random numbers are not among them.
    """
    steps, now = profile.steps, (profile.options or {}).get(FUSION_OPTION)
    if steps is None or not steps.count or now is True:
        return []
    rows = [run for run in _runs(main_line(profile)) if len(run) > 1]
    calls = sum((stage.elements or 0) for run in rows for stage in run[1:]) / steps.count
    saved = calls * costs.call_us / 1e3
    return (
        [stage for run in rows for stage in run] if saved >= LEAST_SAVED * (steps.interval_ms.mean or 0.0) > 0 else []
    )


def fused(maps: Sequence[Stage]) -> tuple[PipelineEdit, ...]:
    """The edits that let TensorFlow fuse maps: it fuses those with as many calls at a time."""
    calls = [SetArgument(stage.id, stage.op, PARALLEL_CALLS, AUTOTUNE) for stage in maps if not stage.tunable]
    return (*calls, SetOption(FUSION_OPTION, value=True))


def _runs(line: Sequence[Stage]) -> list[list[Stage]]:
    """The maps that follow each other, run by run."""
    runs: list[list[Stage]] = [[]]
    for stage in line:
        if stage.op == "map" and stage.random is False and not runs_python(stage):
            runs[-1].append(stage)
        elif runs[-1]:
            runs.append([])
    return runs
