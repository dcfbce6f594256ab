"""What a search has found, in the words and fields of the profile: pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment
from pipeprof.pipelines.changes.in_words import in_words, unified
from pipeprof.pipelines.spec.spec_file import byte_order_mark
from pipeprof.profiles.document.findings import Finding, Fix, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.version import Version


def write_best(result: Fix, best: Version, start: Version, mark: str = "") -> None:
    """Write the best pipeline into the result: its edits, and a spec's new text, after `mark`, with its diff."""
    result.edits = [documents_of(step) for step in best.steps]
    result.environment = dict(best.environment)
    edits = [edit for step in best.steps for edit in step if not isinstance(edit, SetEnvironment)]
    result.changes = list(filter(None, map(in_words, edits)))
    if best.loaded is not None and start.loaded is not None:
        result.text = mark + best.loaded.text
        result.diff = unified(mark + start.loaded.text, result.text, str(start.loaded.path))


def taken(finding: Finding, edits: Sequence[PipelineEdit], start: Version) -> Fix:
    """The result of a search whose one step is the change of an earlier run, and which has measured nothing.

    Raises:
        PipeprofError: The change does not fit the pipeline as it is.
    """
    proven = finding.status == "kept"
    result = Fix(
        status="taken" if proven else "not-proven",
        reason=finding.reason or ("measured by an earlier run" if proven else "it was not measured"),
        seconds=0.0,
        budget_seconds=0.0,
        wall_seconds=0.0,
        allow=list(dict.fromkeys(("same", finding.semantics or "same"))),
        semantics=finding.semantics,
        redrawn=finding.redrawn,
        measured=dict(finding.measured) if proven and finding.measured else None,
    )
    best = start.then(edits)
    write_best(result, best, start, byte_order_mark(start.loaded.path) if start.loaded is not None else "")
    return result


def forget_best(result: Fix) -> None:
    """Take out the best pipeline, which an earlier state of the result may have: it was not proven."""
    result.edits, result.environment, result.changes = [], {}, []
    result.text = result.diff = None


def mark_rejected(profile: Profile, result: Fix) -> None:
    """Write into the findings of a profile which of their changes the search has rejected on the pipeline as it is."""
    first_taken = min((step.round for step in result.steps if step.result == "taken"), default=math.inf)
    rejected = {
        (step.rule, step.stage, step.title, str(step.edit)): step.reason
        for step in result.steps
        if step.round <= first_taken and step.result == "rejected"
    }
    for finding in profile.findings or ():
        reason = rejected.get((finding.rule, finding.stage, finding.title, str(finding.documents)))
        if reason is not None and finding.status == "unverified":
            finding.status, finding.reason = "rejected", f"tried by fix: {reason}"
