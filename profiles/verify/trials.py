"""Edited pipelines measured against the pipeline as it is, one after another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeprof.profiles.verify import plan as plans
from pipeprof.profiles.verify.evidence import BASELINES, EDITED, Evidence, order_of
from pipeprof.profiles.verify.judge_edit import EARLY_PAIRS, PAIRS, Judgement, Status, judge
from pipeprof.profiles.verify.team import InterruptedVerificationError, MemberFailedError, Team

if TYPE_CHECKING:
    from pipeprof.profiles.advise.rule import Semantics
    from pipeprof.profiles.protocol.job import Job
    from pipeprof.profiles.protocol.turn_messages import Built, TurnEnded
    from pipeprof.profiles.verify.plan import Pace


class Ticks(Protocol):
    """Receives how far a trial is."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Take the pairs measured, and those that a decision takes at least."""
        ...


@dataclass(frozen=True)
class Trial:
    """What was measured of an edited pipeline, and what it is.

    Attributes:
        status: As in the profile.
        reason: Why, in words.
        evidence: None where no worker came to be measured.
        judgement: None where nothing was measured.
    """

    status: Status
    reason: str
    evidence: Evidence | None = None
    judgement: Judgement | None = None


class InterruptedTrialError(InterruptedVerificationError):
    """The user wants an end while an edited pipeline is measured.

    Attributes:
        trial: What was measured of it.
    """

    def __init__(self, trial: Trial | None) -> None:
        super().__init__()
        self.trial = trial


class Trials:
    """Trials of edited pipelines against one baseline, whose workers live on from one trial to the next.

    Args:
        team: Of the workers.
        pace: Lengths of blocks and warm-ups.
        baseline: Makes the jobs of the pipeline as it is.
        until: When the time is over, in seconds of `clock`.
        timeout: Seconds without a step after which a pipeline is taken to hang.
        progress: Receives the pairs of the trial that runs.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        team: Team,
        pace: Pace,
        baseline: Callable[[], Mapping[str, Job]],
        *,
        until: float,
        timeout: float,
        progress: Ticks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._team = team
        self._pace = pace
        self._make_baseline = baseline
        self._until = until
        self._timeout = timeout
        self._progress = progress
        self._clock = clock
        self._baseline: dict[str, Built] = {}

    def left(self) -> float:
        """Seconds that are left."""
        return self._until - self._clock()

    def too_long(self, budget: float) -> str | None:
        """Return why another trial does not fit into the time left, in words; None where it does."""
        first = not self._baseline
        # The best one is tried whatever is left; how far it gets, the clock decides.
        least = EARLY_PAIRS if first else PAIRS
        return plans.too_long(self._pace, self.left(), budget, first=first, pairs=least)

    def fits(self, pairs: int) -> bool:
        """Whether so many pairs of another trial fit into the time left."""
        return self.left() >= self._pace.seconds_of(pairs, first=not self._baseline)

    def rebase(self, baseline: Callable[[], Mapping[str, Job]]) -> None:
        """Compare with another pipeline from now on."""
        self._team.end()
        self._make_baseline, self._baseline = baseline, {}

    def measure(self, edited: Mapping[str, Job], semantics: Semantics, *, for_memory: bool) -> Trial:
        """Measure an edited pipeline until it is decided what it is, or the time is over.

        Args:
            edited: Jobs of its two workers.
            semantics: What the edit may change of the data.
            for_memory: Whether it is to save memory, not time.

        Raises:
            InterruptedTrialError: The user wants an end.
        """
        evidence: Evidence | None = None
        judgement: Judgement | None = None
        try:
            evidence = self._start(edited)
            while judgement is None or not judgement.settled:
                if self.left() < self._pace.round_seconds and judgement is not None:
                    break
                evidence.rounds.append(self._round(len(evidence.rounds)))
                judgement = judge(evidence, semantics, for_memory=for_memory)
                self._report(judgement)
        except MemberFailedError as error:
            return self._failed(error)
        except InterruptedVerificationError:
            trial = None
            if evidence is not None and judgement is not None:
                reason = f"interrupted; so far {judgement.reason}"
                trial = Trial("unverified", reason, evidence, judgement)
            raise InterruptedTrialError(trial) from None
        finally:
            self._team.end(*EDITED)
            if not self._baseline:
                self._team.end()
        return Trial(judgement.status, judgement.reason, evidence, judgement)

    def _failed(self, error: MemberFailedError) -> Trial:
        if error.name in BASELINES:
            self._baseline = {}
            what = error.reason if error.refused else f"the pipeline as it is {error.reason}"
            return Trial("unverified", f"not tried: {what}")
        if error.refused:
            return Trial("unverified", f"not tried: {error.reason}")
        return Trial("rejected", f"the edited pipeline {error.reason}")

    def _start(self, edited: Mapping[str, Job]) -> Evidence:
        """Start the workers, and warm them up one by one."""
        first = not self._baseline
        jobs = {**(self._make_baseline() if first else {}), **edited}
        built = self._team.start(jobs, seconds=max(self._timeout, 60.0))
        for name in jobs:
            self._team.turn(name, self._pace.warm, seconds=self._timeout)
        self._baseline = {name: built.get(name) or self._baseline[name] for name in BASELINES}
        return Evidence({**self._baseline, **{name: built[name] for name in EDITED}})

    def _round(self, number: int) -> dict[str, TurnEnded]:
        patience = max(self._timeout, 20 * self._pace.block.seconds)
        return {name: self._team.turn(name, self._pace.block, seconds=patience) for name in order_of(number)}

    def _report(self, judgement: Judgement) -> None:
        speedup = judgement.speedup
        if speedup is not None and not math.isinf(speedup.high):
            self._progress.tick(None, float(speedup.pairs), float(PAIRS))
