"""From a view of a pipeline to findings: run the rules, hold back what does not matter, put the rest in order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeprof.profiles.advise.ignored import unknown_rules, without_ignored
from pipeprof.profiles.advise.rule import Draft, Rule, Threshold
from pipeprof.profiles.advise.rule import rules as all_rules
from pipeprof.profiles.advise.view import PipelineView
from pipeprof.profiles.explain.verdict import STEP_BOUND_BELOW
from pipeprof.profiles.profile import Edit, Finding, Message, Predicted

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.models import Ignore

WAIT_SHARE = Threshold(
    "wait-share",
    STEP_BOUND_BELOW,
    "of the measured time",
    "the TensorFlow profiler's mark: below it a program is not input-bound",
)
HEADSPACE_SHARE = Threshold(
    "headspace-share",
    0.05,
    "of a step's time",
    "what cached batches through the same step save at most; less is within the noise of a run",
)
GATE = (WAIT_SHARE, HEADSPACE_SHARE)
"""Rules of the family `speed` are heard only from these two shares on."""

UNVERIFIED = "verification does not exist yet"

_LONGEST_ERROR = 200
_GIB = 1 << 30


def advise(
    view: PipelineView, *, ignore: Sequence[Ignore] = (), rules: Mapping[str, Rule] | None = None
) -> tuple[list[Finding], list[Message]]:
    """Apply every rule to a pipeline.

    Args:
        view: Static: `Rule.check` is asked; measured: `Rule.diagnose`.
        ignore: Entries of the spec: what they name is left out, and listed in a message.
        rules: The rules by name; all there are if not given.

    Returns:
        The findings in the order in which they are shown, and what else is to be said: rules that failed, findings
        that were ignored, speed that could not be judged.
    """
    known = all_rules() if rules is None else rules
    messages = unknown_rules(ignore, known)
    found: list[Finding] = []
    for rule in known.values():
        found += _apply(rule, view, messages)
    found, told = _gate(_merged(found, view), view)
    found, ignored = without_ignored(found, ignore, view)
    return ordered(found, view), [*messages, *told, *ignored]


def ordered(findings: Iterable[Finding], view: PipelineView | None = None) -> list[Finding]:
    """The findings in the order in which they are shown.

    Kept ones, ceilings, what is wrong with the data, suspicions, rejected ones; within each by worth, then by their
    place in the pipeline.
    """
    places = {stage.id: index for index, stage in enumerate(view.stages)} if view is not None else {}

    def key(finding: Finding) -> tuple[int, float, int, str]:
        place = places.get(finding.stage or "", len(places))
        return _group(finding), -worth(finding, view), place, finding.rule

    return sorted(findings, key=key)


def worth(finding: Finding, view: PipelineView | None = None) -> float:
    """How much a finding is worth, on one scale for speed and memory: twice the speed is half the peak.

    Args:
        finding: Its measured effect counts, else the predicted one.
        view: Tells the peak that savings are a part of; without a measured one, the memory limit.

    Returns:
        0 if nothing is known about it.

    Example:
        >>> from pipeprof.profiles.profile import Finding, Predicted
        >>> twice = Finding(rule="a", title="", status="unverified", predicted=Predicted(speedup=2.0))
        >>> round(worth(twice), 3)
        0.693
    """
    effect: dict[str, Any] = finding.measured or (finding.predicted.model_dump() if finding.predicted else {})
    speedup, saved = _number(effect.get("speedup")), -_number(effect.get("peak_rss_delta_bytes"))
    speed = math.log(speedup) if speedup > 1 else 0.0
    if saved <= 0:
        return speed
    profile = view.profile if view is not None else None
    peak = (profile.memory.peak_bytes if profile else None) or (view.memory_limit_bytes if view else None)
    return max(speed, -math.log(1 - min(saved / (peak or saved + _GIB), 0.999)))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _group(finding: Finding) -> int:
    if finding.status == "unverified":
        return 2 if finding.family == "correctness" else 3
    return {"kept": 0, "ceiling": 1, "rejected": 4}[finding.status]


def _apply(rule: Rule, view: PipelineView, messages: list[Message]) -> list[Finding]:
    """What one rule finds; what it found before it failed stays."""
    found: list[Finding] = []
    try:
        for draft in _drafts(rule, view):
            found.append(_finding(rule, draft, view))
    except Exception as error:  # A mistake in one rule must never cost the report.
        text = " ".join(f"{type(error).__name__}: {error}".split())
        text = text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"
        message = f"the rule {rule.name} failed ({text}); what it would have found is missing"
        messages.append(Message(code="rule-failed", message=message))
    return found


def _drafts(rule: Rule, view: PipelineView) -> Iterable[Draft]:
    if view.kind == "static":
        yield from rule.check(view)
        return
    yield from rule.diagnose(view)
    if not has_costs(view):
        # A rule that compares costs is silent without them; what it can say without a run still holds.
        yield from rule.check(view)


def has_costs(view: PipelineView) -> bool:
    """Whether the time inside a stage is known for any of them."""
    return any(stage.ms_per_batch is not None for stage in view.stages)


def _finding(rule: Rule, draft: Draft, view: PipelineView) -> Finding:
    stage = view.by_id.get(draft.stage or "")
    predicted = draft.predicted
    edits = [Edit(**edit.to_dict()) for edit in draft.edits]
    return Finding(
        rule=rule.name,
        title=rule.title,
        family=rule.family,
        stage=draft.stage,
        location=stage.location if stage is not None else None,
        sentence=draft.sentence,
        evidence=dict(draft.evidence),
        recommendation=draft.recommendation,
        semantics=draft.semantics or rule.semantics,
        edit=edits[0] if len(edits) == 1 else edits or None,
        patch="\n".join(edit.as_yaml() for edit in draft.edits) or None,
        python="\n".join(edit.as_python() for edit in draft.edits) or None,
        predicted=predicted
        and Predicted(
            speedup=predicted.speedup,
            peak_rss_delta_bytes=predicted.peak_rss_delta_bytes,
            formula=predicted.formula,
        ),
        status="unverified",
        reason=UNVERIFIED,
    )


def _merged(findings: Iterable[Finding], view: PipelineView) -> list[Finding]:
    """One finding for a rule and a stage: the one that is worth most, with the evidence of all."""
    merged: dict[tuple[str, str | None], Finding] = {}
    for finding in findings:
        key = finding.rule, finding.stage
        other = merged.get(key)
        if other is None:
            merged[key] = finding
            continue
        first, second = (other, finding) if worth(other, view) >= worth(finding, view) else (finding, other)
        merged[key] = first.model_copy(update={"evidence": {**second.evidence, **first.evidence}})
    return list(merged.values())


def _gate(findings: list[Finding], view: PipelineView) -> tuple[list[Finding], list[Message]]:
    """Hold back advice on speed where there is little to win, or where nobody knows."""
    if view.kind == "static" and view.profile is None:
        return findings, []
    steps = view.profile.steps if view.profile is not None else None
    # Without a step the pipeline itself is all there is to wait for.
    wait = 1.0 if steps is not None and steps.dispatch is None else view.wait_share
    headspace = view.headspace.share if view.headspace is not None else None
    speed = [finding for finding in findings if finding.family == "speed"]
    if wait is not None and headspace is not None and wait >= WAIT_SHARE.value and headspace >= HEADSPACE_SHARE.value:
        return findings, []
    others = [finding for finding in findings if finding.family != "speed"]
    small = (wait is not None and wait < WAIT_SHARE.value) or (
        headspace is not None and headspace < HEADSPACE_SHARE.value
    )
    if small or not speed:
        return others, []
    unknown = "no step was measured" if wait is None else "the headspace was not measured"
    what = ", ".join(dict.fromkeys(finding.rule for finding in speed))
    message = f"{unknown}, so nothing is said about speed; held back: {what}"
    return others, [Message(code="speed-not-judged", message=message)]
