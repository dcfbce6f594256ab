"""The changes that were measured to help, as a plan for `pipeprof.apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeprof.cli.formats.registry import Format, Output
from pipeprof.cli.formats.yaml import NOTHING
from pipeprof.profiles.constants import FLOOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeprof.pipelines.edits.edits import PipelineEdit
    from pipeprof.profiles.document.findings import Edit, Finding
    from pipeprof.profiles.document.profile import Profile


SAME_SPEED = 1 + FLOOR
"""Two measured speed-ups that differ by less are about the same."""


def _render(output: Output) -> str:
    return _text(output.profile)


def _text(profile: Profile) -> str:
    """The plan of a profile, which is data that may come from somebody else.

    Raises:
        PlanError: Its changes are none that a plan can hold.
    """
    from pipeprof.pipelines.edits.plan import SavedPlan, write_plan
    from pipeprof.profiles.lines import main_line

    steps, measured = _steps(profile)
    written = [stage for stage in profile.stages or () if stage.origin == "written"]
    line = main_line(profile)
    spec = line[-1].element_spec if line else None
    return write_plan(
        SavedPlan(
            profile.target.text,
            {stage.id: stage.op for stage in written},
            steps,
            (measured or {}).get("speedup"),
            tuple(component.dtype for component in spec) if spec is not None else None,
            {stage.id: stage.body for stage in written if stage.body is not None},
        )
    )


def _steps(profile: Profile) -> tuple[tuple[tuple[PipelineEdit, ...], ...], Mapping[str, Any] | None]:
    """The edits step by step, and what was measured of them."""
    if profile.fix is not None:
        return tuple(_edits(step) for step in profile.fix.edits), profile.fix.measured
    best = best_change(profile)
    if best is None:
        return (), None
    edits = _edits(best.documents)
    return (edits,) if edits else (), best.measured


def _edits(documents: Sequence[Edit]) -> tuple[PipelineEdit, ...]:
    from pipeprof.pipelines.edits.plan import PlanError
    from pipeprof.profiles.document.findings import edits_in

    edits = edits_in(documents)
    if len(edits) < len(documents):
        raise PlanError("no plan can hold these changes: one of them is not known to this version")
    return edits


def best_change(profile: Profile) -> Finding | None:
    """The kept finding with the largest measured speed-up; all of them together where that is about as fast."""
    kept = [finding for finding in profile.findings or () if finding.status == "kept" and finding.edit is not None]
    best = max(kept, key=_speedup, default=None)
    together = next((finding for finding in kept if finding.rule == "combined"), None)
    return together if together is not None and _speedup(together) * SAME_SPEED >= _speedup(best or together) else best


def _speedup(finding: Finding) -> float:
    return float((finding.measured or {}).get("speedup") or 0.0)


def _lack(profile: Profile) -> str | None:
    from pipeprof.pipelines.edits.plan import PlanError

    if not (profile.fix.edits if profile.fix is not None else best_change(profile)):
        return NOTHING
    try:
        _text(profile)
    except PlanError as error:
        return str(error)
    return None


FORMAT = Format(
    "plan", (".plan.json",), frozenset({"fix", "run", "show"}), _render, order=60, printed=False, lack=_lack
)
