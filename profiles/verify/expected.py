"""What edits are expected to give before they are tried, and the order that follows from it: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.order import worth
from pipeprof.profiles.advise.predict import prediction_of
from pipeprof.profiles.document.findings import Finding, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.model.predict import predicted_of
from pipeprof.profiles.model.read import flow_of
from pipeprof.profiles.propose.proposal import Prediction, effort

WORTH_ITS_TIME = 1.1
"""Predicted gain from which a change of one argument or option is tried before anything else."""
MEMORY_SHARE = 0.10
"""Part of the peak from which a predicted saving is tried before caches and rewrites."""


def in_trial_order(profile: Profile, findings: Iterable[Finding]) -> list[Finding]:
    """Return changes in the order in which they are tried: what is easiest to apply first.

    Changes of arguments and options, and prefetches; what saves a tenth of the peak of memory; caches of data that
    fit into memory; rewrites; what saves less memory. In each of these the largest predicted effect comes first, and
    of the same one the fewest edits.
    """
    peak = profile.memory.peak_bytes
    return sorted(findings, key=lambda finding: (_place(finding, peak), -worth(finding), effort(finding.edits)))


def _place(finding: Finding, peak: int | None) -> int:
    predicted = finding.predicted
    if finding.cache is not None:
        return 2
    if finding.family == "memory":
        saved = -(predicted.peak_rss_delta_bytes or 0) if predicted is not None else 0
        return 1 if peak and saved >= MEMORY_SHARE * peak else 4
    return 0 if promises(finding) and all(map(_sets_one_thing, finding.edits)) else 3


def promises(finding: Finding) -> bool:
    """Whether the edit of a finding is predicted to gain something that is worth its time."""
    return finding.predicted is not None and (finding.predicted.speedup or 0.0) >= WORTH_ITS_TIME


def _sets_one_thing(edit: PipelineEdit) -> bool:
    is_prefetch = isinstance(edit, InsertStage) and traits(edit.op).prefetches
    return is_prefetch or isinstance(edit, SetArgument | SetOption)


def by_worth(profile: Profile, findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order in which they are tried: the largest predicted effect first.

    Args:
        profile: The run whose model predicts. What has no prediction gets that of the model, where it knows the edit.
        findings: In the order of the report, which those of the same worth keep.
    """
    known, expect = list(findings), model_of(profile)
    for finding in known:
        if finding.predicted is None and finding.family != "correctness" and finding.is_known:
            found = expect(finding.edits)
            finding.predicted = Predicted(**vars(found)) if found is not None else None
    return sorted(known, key=lambda finding: -worth(finding))


def model_of(profile: Profile) -> Callable[[Sequence[PipelineEdit]], Prediction | None]:
    """Return what predicts edits of a run's pipeline; None where the model does not know one of them."""
    flow = flow_of(profile)

    def predict(edits: Sequence[PipelineEdit]) -> Prediction | None:
        try:
            found = predicted_of(flow, edits) if flow is not None and edits else None
        except Exception:  # A mistake in the model must never cost the verification.
            return None
        return prediction_of(found) if found is not None and found.speedup > 0 else None

    return predict
