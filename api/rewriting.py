"""Measured edits applied to a dataset at run time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeprof.pipelines.edits.plan import PlanError, describe_misfit, read_plan


def rewrite(dataset: Any, path: Path) -> Any:
    """Apply the plan in a file to a dataset; `pipeprof.apply` documents it."""
    from pipeprof.pipelines.build.context import BuildContext
    from pipeprof.pipelines.build.dataset import builder
    from pipeprof.pipelines.graph.edit.apply import apply_edits
    from pipeprof.pipelines.graph.edit.round_trip import editable

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {error}"
        raise PlanError(msg) from None
    plan = read_plan(text, str(path))
    if not plan.edits:
        return dataset
    written = editable(dataset, in_memory=0).read().stages()
    misfit = describe_misfit(plan, {stage.address: stage.op for stage in written})
    if misfit is not None:
        msg = f"{path} was made for another pipeline ({plan.target}): {misfit}; measure again with pipeprof run"
        raise PlanError(msg)
    return apply_edits(dataset, plan.edits, building=builder(BuildContext(Path())))
