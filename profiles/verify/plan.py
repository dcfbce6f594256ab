"""What is tried, in which order, and how long it takes: pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.verify.expected import by_worth

BLOCK_SECONDS = 0.35
BLOCK_STEPS = 8
SETTLE_SECONDS = 0.05
"""Of a block, not counted: threads have just been started again."""
WARM_SECONDS = 3.0
WARM_SHARE = 0.04
"""Of the budget that the warm-up of one worker takes at most."""
DIGEST_SECONDS = 1.5
DIGEST_SHARE = 0.02
"""Of the budget that the description of the first batches takes at most, in each worker."""
WORKERS = 4
START_SECONDS = 3.0
"""For TensorFlow to start, per worker and core."""
OVER_BUDGET = 1.25
"""Verification lasts at most so many times its budget, starts of processes included."""
TRIED = frozenset({"same", "order", "randomness"})
"""What `run` tries; edits that change values are for the user to decide."""


@dataclass(frozen=True)
class Pace:
    """Lengths of a verification.

    Attributes:
        block: A measured turn.
        warm: A warm-up.
        start_seconds: Until all workers of an edit are ready to be measured.
        digest_seconds: For the description of the first batches.
        round_seconds: One block of each worker.
    """

    block: TurnRequest
    warm: TurnRequest
    start_seconds: float
    digest_seconds: float
    round_seconds: float

    def seconds_of(self, pairs: int, *, first: bool) -> float:
        """Seconds that an edit takes; the first one starts the pipeline as it is as well."""
        start = self.start_seconds if first else self.start_seconds / 2
        return start + self.round_seconds * math.ceil(pairs / 2)


def pace_of(profile: Profile, budget: float, cores: float) -> Pace:
    """Choose the lengths of blocks and warm-ups from the measured run.

    Args:
        profile: Of the run: its step interval and the lengths of its phases count.
        budget: Seconds that verification may take.
        cores: On which the workers start.
    """
    interval = 0.0
    if profile.steps is not None and profile.steps.interval_ms is not None:
        interval = (profile.steps.interval_ms.mean or 0.0) / 1e3
    seconds = max(BLOCK_SECONDS, BLOCK_STEPS * interval)
    settle = max(SETTLE_SECONDS, interval)
    warm = max(min(WARM_SECONDS, WARM_SHARE * budget), 3 * interval)
    phases = {phase.name: phase.seconds or 0.0 for phase in profile.phases}
    made = sum(phases.get(name, 0.0) for name in ("data", "build", "first_element"))
    starts = WORKERS * (START_SECONDS + made) / max(1.0, min(cores, WORKERS))
    return Pace(
        block=TurnRequest("block", seconds, BLOCK_STEPS, settle),
        warm=TurnRequest("warm", warm),
        start_seconds=starts + WORKERS * warm,
        digest_seconds=min(DIGEST_SECONDS, DIGEST_SHARE * budget),
        round_seconds=WORKERS * (seconds + settle),
    )


def cannot_verify(profile: Profile) -> str | None:
    """Return why nothing of a run can be verified, in words; ``None`` where it can."""
    if not profile.complete or profile.exit_code:
        return "the measurement did not come to its end"
    if profile.steps is None or not profile.steps.count:
        return "no step was measured"
    return None


def cannot_try(finding: Finding, *, has_edit: bool) -> str | None:
    """Return why a finding's edit is not tried, in words; ``None`` where it is.

    Args:
        finding: The finding.
        has_edit: Whether its edit can be applied without the user.
    """
    if finding.family == "correctness":
        return "it is about the data, not about speed or memory"
    if finding.semantics not in TRIED:
        return "may change values: run does not try it"
    if not has_edit:
        return "no edit can be applied to this pipeline without your code: try it by hand"
    return None


def to_try(profile: Profile) -> list[Finding]:
    """The findings whose edits are worth a try, the one with the largest predicted effect first."""
    return by_worth(profile, [finding for finding in profile.findings or () if finding.status == "unverified"])


def too_long(pace: Pace, left: float, budget: float, *, first: bool, pairs: int) -> str | None:
    """Return why an edit does not fit into the time left, in words; ``None`` where it does."""
    needed = pace.seconds_of(pairs, first=first)
    if needed <= left:
        return None
    total = pace.seconds_of(pairs, first=True) / OVER_BUDGET
    if total <= budget:
        return f"the budget of {budget:.0f} s was used up"
    return f"does not fit into the budget of {budget:.0f} s: --budget {math.ceil(total)}"
