"""What a search has found, in the words and fields of the profile: pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment
from pipeprof.pipelines.changes.in_words import in_words, unified
from pipeprof.pipelines.spec.yaml.reader import byte_order_mark
from pipeprof.profiles.document.findings import Finding, Fix, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.schedule import Mode
from pipeprof.profiles.fix.search import Found
from pipeprof.profiles.fix.version import Version
from pipeprof.profiles.propose.proposal import SEMANTICS
from pipeprof.profiles.verify.trials import Trial, measured_of, so_far, unfinished_of


def describe(result: Fix, found: Found, trial: Trial | None, mode: Mode = "alternating") -> None:
    """Write into the result what the search has found and what the proof, None where there was none, says."""
    if not found.best.steps:
        result.status = "interrupted" if found.interrupted or found.changed else "nothing"
        result.reason = found.reason or "no change was taken until then"
        return
    result.semantics = max(found.semantics, key=SEMANTICS.index)
    result.redrawn = found.redrawn
    if trial is None or found.interrupted:
        why = found.changed or "interrupted before the proof"
        result.status, result.reason = "interrupted", f"{why}: only the steps were measured"
        return
    result.status = "fixed" if trial.status == "kept" else "not-proven"
    result.reason = trial.reason
    speedup = trial.judgement.speedup if trial.judgement is not None else None
    result.unfinished = unfinished_of(trial, result.budget_seconds)
    if result.unfinished is not None and speedup is not None:
        result.reason = f"{so_far(speedup.value, result.unfinished)}: --budget {result.unfinished.budget_seconds}"
    elif trial.status == "unverified" and trial.late and speedup is not None and speedup.pairs < QUICK.most:
        result.reason = f"{trial.reason}; a larger --budget measures more"
    if trial.status == "rejected" and found.promised:
        result.status = "nothing"
        result.reason = f"the best candidate does not hold: {trial.reason}"
        for step in result.steps:
            step.result = "rejected" if step.result == "taken" else step.result
    elif trial.status == "unverified" and found.promised:
        # Neither its race nor the proof could tell.
        for step in result.steps:
            step.result = "unclear" if step.result == "taken" else step.result
    measured = measured_of(trial)
    if measured is None or trial.evidence is None:
        return
    peaks = trial.evidence.peaks()
    saved = trial.judgement.saved_bytes if trial.judgement is not None else None
    if peaks and saved is not None:
        # The largest peak that was seen, and the change that the report states: the smaller fall of the pairs.
        result.peak_bytes = max(after for _, after, _ in peaks)
        result.peak_before_bytes = result.peak_bytes + saved
    result.measured = {**measured, "mode": mode}
    if (restarts := trial.evidence.restarts()) > 0:
        result.measured["restarts"] = restarts


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
