"""What edits are expected to give before they are tried, and the order that follows from it: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeprof.pipelines.edits.edits import AS_GRAPH, PipelineEdit, RewriteMap
from pipeprof.profiles.advise.order import worth
from pipeprof.profiles.advise.predict import prediction_of
from pipeprof.profiles.document.findings import Finding, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.purposes import LARGE_GAIN, QUICK
from pipeprof.profiles.model.calibration import costs_of
from pipeprof.profiles.model.predict import predicted_of
from pipeprof.profiles.model.read import flow_of
from pipeprof.profiles.propose.finding import MEASURED
from pipeprof.profiles.propose.proposal import Prediction

PROMISING = 1.2
"""Predicted speed-up from which an edit is tried before an upper bound, which is no advice yet."""


def promises(finding: Finding) -> bool:
    """Whether the edit of a finding is predicted to be a good gain."""
    return finding.predicted is not None and (finding.predicted.speedup or 0.0) >= PROMISING


def expected_gain(finding: Finding) -> float:
    """The predicted speed-up; 0 where it is unknown."""
    return (finding.predicted.speedup or 0.0) if finding.predicted is not None else 0.0


def time_for_best(
    finding: Finding, others: Iterable[Finding], seconds: Callable[[Finding], float]
) -> tuple[float, int]:
    """Return the seconds that a trial leaves for the best of other edits, and the pairs after which it does."""
    best = max(others, key=expected_gain, default=None)
    if best is None:
        return 0.0, QUICK.pairs
    # What would gain far more does not wait for an answer about little.
    far_more = expected_gain(best) >= LARGE_GAIN * expected_gain(finding) > 0
    return seconds(best), QUICK.early if far_more else QUICK.pairs


def is_guess(finding: Finding) -> bool:
    """Whether an edit is tried after the upper bound of the bottleneck, as no rule proposes it.

    Python that calls TensorFlow alone is surely a graph: that comes before, and what promises a large gain on all data.
    """
    surely = promises(finding) and any(isinstance(edit, RewriteMap) and edit.how == "graph" for edit in finding.edits)
    large = finding.cache is None and finding.predicted is not None and (finding.predicted.speedup or 0.0) >= LARGE_GAIN
    return finding.rule == MEASURED and not (surely or large)


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


def in_turn(
    reported: Iterable[Finding],
    further: Sequence[Finding],
    guessed: Iterable[Finding] = (),
    can_try: Callable[[Finding], bool] = lambda _finding: True,
) -> tuple[list[Finding], list[Finding]]:
    """Return all edits in the order of their predicted effect, those to try before upper bounds and those after.

    A cache gains on a sample that fits into memory: none is tried before a change that may gain on all of the data.

    Args:
        reported: Findings, in the order in which those of the same worth are tried.
        further: Edits that are reported only if they help; the second part begins with the first of them that does not
            promise a good gain.
        guessed: Edits that no rule proposes, all in the second part.
    """
    unsure = [finding for finding in further if not promises(finding)]
    ranked = sorted([*reported, *further], key=lambda finding: -worth(finding))
    at = next((at for at, finding in enumerate(ranked) if any(finding is one for one in unsure)), len(ranked))
    first, rest = ranked[:at], [*ranked[at:], *guessed]
    lasting = [[finding for finding in part if finding.cache is None and can_try(finding)] for part in (first, rest)]
    if lasting[0] or not lasting[1]:
        return first, rest
    caches = [finding for finding in first if finding.cache is not None]
    return [finding for finding in first if finding.cache is None], [*caches, *rest]


def model_of(profile: Profile) -> Callable[[Sequence[PipelineEdit]], Prediction | None]:
    """Return what predicts edits of a run's pipeline; None where the model does not know one of them."""
    flow, costs = flow_of(profile), costs_of(profile)

    def predict(edits: Sequence[PipelineEdit]) -> Prediction | None:
        try:
            found = predicted_of(flow, edits, costs) if flow is not None and edits else None
        except Exception:  # A mistake in the model must never cost the verification.
            return None
        return prediction_of(found) if found is not None and found.speedup > 0 else None

    return predict


def is_refused_graph(finding: Finding, reason: str) -> bool:
    """Whether Python does not work as a graph: only the attempt shows it, and then there is nothing to change."""
    tried = any(isinstance(edit, RewriteMap) and edit.how in AS_GRAPH for edit in finding.edits)
    return tried and "budget" not in reason
