"""What a race has found, in the words and fields of the profile: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import geometric_mean
from typing import Literal

from pipeprof.profiles.advise.proposal import Proposal, Semantics, different
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.findings import FAILED, Facts, Finding, FixStep, LeftOut, Unfinished, documents_of
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.experiment.decision import LEAST_GAIN
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.tries.combine import SearchStep
from pipeprof.profiles.tries.race import RaceResult
from pipeprof.profiles.wording import ratio_text, significant, size, with_name

SPARE = 1.1
"""Times the seconds that rounds lack: a larger budget has longer warm-ups as well."""


def status_of(result: RaceResult) -> Literal["kept", "rejected", "unverified"]:
    """What the finding of an entrant is."""
    if result.status in {"undecided", "refused"}:
        return "unverified"
    return "kept" if result.status == "kept" else "rejected"


def gain_in_words(change: Interval, *, alone: bool = False) -> str:
    """A ratio with its interval and rounds, which are processes where each runs alone.

    Example:
        >>> gain_in_words(Interval(0.5844, 0.0091, 15, 4)), gain_in_words(Interval(0.4, 0.03, 2, 2), alone=True)
        ('1.79× (1.75 to 1.84, 4 rounds)', '1.49× (1.21 to 1.84, 2 processes)')
    """
    if not change.freedom:
        return ratio_text(change.value)
    many = f"{change.pairs} {'processes' if alone else 'rounds'}"
    return f"{ratio_text(change.value)} ({significant(change.low)} to {significant(change.high)}, {many})"


def reason_of(result: RaceResult, *, for_memory: bool = False) -> str:
    """Why an entrant is what it is."""
    before = {"other data": "", "failed": FAILED, "refused": "not tried: "}.get(result.status)
    compared = result.compared
    if before is not None or compared is None:
        return f"{before or ''}{result.why or 'too few rounds to decide'}"
    words = gain_in_words(compared.change, alone=result.evidence is not None and result.evidence.alone)
    if for_memory:
        return _of_memory(result, words)
    if result.status == "kept":
        same = compared.same
        twice = f"; the same pipeline twice: {ratio_text(same.value)}" if same is not None else ""
        return f"{words} in two processes{twice}"
    if result.status == "no gain":
        return f"no gain: {words}"
    return f"undecided: {words}{f'; {result.why}' if result.why else ''}"


def _of_memory(result: RaceResult, words: str) -> str:
    if result.status == "kept":
        return f"lower peak in two processes; speed {words}"
    if not result.peaks:
        return "the peak of memory is unknown"
    if result.status == "undecided":
        return f"the peak was lower in one of two processes{f'; {result.why}' if result.why else ''}"
    saved = result.saved_bytes or 0
    return f"the peak is not lower: {'−' if saved > 0 else '+'}{size(abs(saved))}"


def ends_of(change: Interval | None) -> Facts:
    """A ratio and the ends of its interval, as a profile has them."""
    if change is None:
        return {}
    high = round(change.high, 4) if math.isfinite(change.high) else None
    return {"speedup": round(change.value, 4), "low": round(change.low, 4), "high": high}


def measured_of(result: RaceResult) -> Facts | None:
    """The effect as a profile has it; None where nothing was measured."""
    change, evidence = result.change, result.evidence
    if change is None or evidence is None:
        return None
    found: Facts = {
        **ends_of(change),
        "pairs": [round(one, 4) for one in evidence.ratios()],
        "peak_rss_delta_bytes": -result.saved_bytes if result.saved_bytes is not None else None,
        "data": result.data.words if result.data is not None else None,
        "mode": "sequential" if evidence.alone else "alternating",
    }
    if (restarts := evidence.restarts()) > 0:
        found["restarts"] = restarts
    return found


def apart_of(result: RaceResult) -> float:
    """The faster of two processes of one pipeline over the slower one, the base's or the entrant's; 1 without two."""
    same = result.compared.same if result.compared is not None else None
    runs = [one.ratios() for one in (result.evidence, result.again) if one is not None]
    means = [geometric_mean(ratios) for ratios in runs if ratios] or [1.0]
    return max(math.exp(abs(same.mean)) if same is not None else 1.0, max(means) / min(means))


def repeats(finding: Finding, bound: Finding) -> bool:
    """Whether a finding without an edit advises what an upper bound of its stage does, and is not about the data."""
    same = (finding.recommendation or "").rstrip(".").casefold() == (bound.recommendation or "").casefold()
    return same and bool(bound.recommendation) and finding.stage == bound.stage and not finding.documents


def unfinished_of(result: RaceResult, budget: float, round_seconds: float) -> Unfinished | None:
    """What an entrant that shows a gain lacks for a decision, given its budget; None where that is not time."""
    change = result.change
    needed = next((look for look in TRIES.looks if change is not None and look > change.pairs), None)
    if not result.late or change is None or needed is None or change.value <= LEAST_GAIN:
        return None
    more = 10 * math.ceil((budget + SPARE * (needed - change.pairs) * round_seconds) / 10)
    return Unfinished(pairs=change.pairs, needed=needed, budget_seconds=more)


def write_into(finding: Finding, result: RaceResult, unfinished: Unfinished | None = None) -> None:
    """Write into a finding what its change is."""
    finding.status = status_of(result)
    finding.reason = reason_of(result, for_memory=finding.family == "memory")
    finding.unfinished = unfinished
    if result.data is not None and result.data.level == "rounding":
        finding.semantics = "values"
    finding.measured = measured_of(result)
    if finding.measured is None:
        return
    if result.built is not None and result.built.compared:
        if result.built.reordered and finding.semantics == "same" and finding.redrawn is None:
            # A cache keeps the order that the user's Python drew in the first epoch.
            finding.semantics = "order"
        order = "in another order" if result.built.reordered else "in the same order"
        elements = f"two epochs had the same {result.built.compared:,} elements, {order}"
        finding.change = f"{finding.change}; {elements}"
    if (restarts := finding.measured.get("restarts", 0)) > 0:
        times = "once" if restarts == 1 else f"up to {restarts:,} times"
        finding.reason = f"{finding.reason}; the data set ended and was repeated {times} in a process"


def fix_step(step: SearchStep, stages: Sequence[Stage]) -> FixStep:
    """What a search has tried, as a profile has it; its words may name stages."""
    tried, proposal, result = step.tried, step.tried.proposal, step.tried.result
    reason = step.reason or reason_of(result, for_memory=proposal.for_memory)
    if step.result == "behind":
        reason = f"{reason}: another one was taken"
    return FixStep(
        round=tried.race,
        title=proposal.title,
        change=proposal.change,
        rule=proposal.rule,
        stage=proposal.stage,
        semantics=proposal.effect,
        redrawn=proposal.redrawn,
        edit=documents_of(proposal.edits),
        predicted=proposal.speedup,
        cache=proposal.cache,
        result=step.result,
        reason=with_name(reason, stages),
        **ends_of(result.change),
        ratios=[round(one, 4) for one in result.evidence.ratios()] if result.evidence is not None else [],
        peak_bytes=result.peak_bytes,
        peak_rss_delta_bytes=-result.saved_bytes if result.saved_bytes is not None else None,
        data=result.data.words if result.data is not None else None,
    )


def effect_of(step: SearchStep) -> Semantics:
    """What a change that was taken may change of the data: at least the last digits, where these differ."""
    data = step.tried.result.data
    return "values" if data is not None and data.level == "rounding" else step.tried.proposal.effect


def left_out(proposed: Iterable[Proposal], gain: float = 1.0) -> list[LeftOut]:
    """Changes that are not allowed, what was measured first, then by their factor; none that gives too little."""
    worth = [one for one in different(proposed) if not _is_too_little(one, gain)]
    return [_described(one) for one in sorted(worth, key=lambda one: (one.measured is None, -(one.speedup or 0.0)))]


def _is_too_little(candidate: Proposal, gain: float) -> bool:
    if candidate.measured is not None:
        return candidate.measured[0] < (1 + FLOOR) * gain
    return candidate.speedup is not None and candidate.speedup < 1 + FLOOR


def _described(candidate: Proposal) -> LeftOut:
    value, low, high = candidate.measured or (candidate.speedup, None, None)
    known = "measured" if candidate.measured is not None else "predicted" if value is not None else None
    return LeftOut(
        title=candidate.title,
        change=candidate.change,
        semantics=candidate.effect,
        speedup=value,
        low=low,
        high=high if high is not None and math.isfinite(high) else None,
        known_by=known,
        allow=f"--allow {candidate.effect}",
    )
