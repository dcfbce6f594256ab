"""Edited pipelines measured against the pipeline as it is, one after another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from pipeprof.profiles.document.findings import Finding, Unfinished
from pipeprof.profiles.document.shared import Dispatch
from pipeprof.profiles.experiment.decision import LEAST_GAIN
from pipeprof.profiles.experiment.evidence import BASELINES, EDITED, Evidence
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.rounds import PATIENCE, Rounds
from pipeprof.profiles.experiment.schedule import Mode, order_of
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import InterruptedVerificationError, MemberFailedError, Team
from pipeprof.profiles.experiment.turns import undisturbed
from pipeprof.profiles.host.machine import CoresClock
from pipeprof.profiles.propose.proposal import Compared
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turns import Built, TurnEnded, TurnRequest
from pipeprof.profiles.verify import plan as plans
from pipeprof.profiles.verify.judge_edit import MOST_PROCESS_PAIRS, Judgement, Status, judge
from pipeprof.profiles.verify.plan import Pace
from pipeprof.profiles.wording import ratio_text, significant

ROUND = ("A1", "B1", "B2", "A2")
"""Order of the workers in the first round: a copy of the edited pipeline next to one of the other."""
SPARE = 1.1
"""Times the seconds that pairs lack: a larger budget has longer warm-ups as well."""
MOST_LEFT_OUT = QUICK.most // 4
"""Rounds that something else disturbed, half as many as count at most: then an edit is measured no longer."""


class Ticks(Protocol):
    """Receives how far a trial is."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Take the pairs measured, and those that a decision takes at least."""
        ...

    def standing(self, words: str) -> None:
        """Take the ratio so far."""
        ...


@dataclass(frozen=True)
class Trial:
    """What was measured of an edited pipeline, and what it is.

    Attributes:
        evidence: None where no worker came to be measured.
        judgement: None where nothing was measured.
        other: What was measured of a kept one in the other mode of dispatch.
        missing_seconds: That a clear gain lacks for enough pairs.
        late: The end of its time ended it.
    """

    status: Status
    reason: str
    evidence: Evidence | None = None
    judgement: Judgement | None = None
    other: Evidence | None = None
    missing_seconds: float = 0.0
    late: bool = False


class InterruptedTrialError(InterruptedVerificationError):
    """The user wants an end while an edited pipeline is measured."""

    def __init__(self, trial: Trial | None) -> None:
        super().__init__()
        self.trial = trial


class Trials:
    """Trials of edited pipelines against one baseline.

    Where all workers may exist at once, those of the baseline live on from one trial to the next. Where they may not,
    those of a pair take turns and then those of the other, or each worker runs from its start to its end alone.

    Args:
        pace: Lengths of blocks and warm-ups, and how many processes exist at a time.
        baseline: Makes the jobs of the pipeline as it is.
        until: When the time is over, in seconds of `clock`.
        timeout: Seconds without a step after which a pipeline is taken to hang.
        progress: Receives the pairs of the trial that runs.
        fewer: Makes the pace for fewer processes, where they take more memory than there is; None where nothing does.
        clock: Seconds that only grow.
        cores: Makes the clock that tells what of a round went elsewhere.
        most_left_out: Rounds that something else disturbed after which an edit is measured no longer. With any number
            of them a quarter of all rounds counts.
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
        fewer: Callable[[Mode], Pace] | None = None,
        clock: Callable[[], float] = time.monotonic,
        cores: Callable[[], CoresClock] | None = CoresClock,
        most_left_out: float = MOST_LEFT_OUT,
    ) -> None:
        self._team = team
        self._pace = pace
        self._fewer = fewer
        self._make_baseline = baseline
        self._until = until
        self._most_left_out = most_left_out
        self._progress = progress
        self._clock = clock
        self._rounds = Rounds(
            team,
            pace.mode,
            timeout=max(timeout, PATIENCE * pace.block.seconds),
            in_pairs=True,
            start_seconds=pace.start_seconds,
            cores=cores,
        )
        self._baseline: dict[str, Built] = {}
        self.refusal: str | None = None
        """Why no edit can be measured against this pipeline, in words."""

    @property
    def mode(self) -> Mode:
        """How many processes exist at a time: fewer than at first where they took more memory than there is."""
        return self._rounds.mode

    def left(self) -> float:
        """Seconds that are left."""
        return self._until - self._clock()

    def too_long(self, budget: float, further: float = 0.0) -> str | None:
        """Return why another trial, and the further seconds that it needs, are not possible or have no time, in words.

        None where they do.
        """
        if self.refusal is not None:
            return self.refusal
        least, first = self._pace.least_pairs(QUICK.early), not self._baseline
        return plans.too_long(self._pace, self.left(), budget, first=first, pairs=least, further=further)

    def fits(self, pairs: int, reserved: float = 0.0) -> bool:
        """Whether so many pairs of another trial fit into the time left, less the seconds that are reserved."""
        needed = self._pace.seconds_of(self._pace.least_pairs(pairs), first=not self._baseline)
        return self.refusal is None and self.left() >= needed + reserved

    def rebase(self, baseline: Callable[[], Mapping[str, Job]]) -> None:
        """Compare with another pipeline from now on."""
        self._team.end()
        self._make_baseline, self._baseline, self.refusal = baseline, {}, None

    def measure(
        self,
        edited: Mapping[str, Job],
        semantics: Compared | None,
        *,
        for_memory: bool,
        others: float = 0.0,
        other: Dispatch | None = None,
    ) -> Trial:
        """Measure an edited pipeline until it is decided what it is, or the time is over.

        Args:
            semantics: What the edit may change of the data; None for a replay, whose data are not compared.
            for_memory: Whether it is to save memory, not time.
            others: Seconds that it leaves for others once it had a fair chance, unless it is about to be kept.
            other: A mode of dispatch in which a kept one is measured as well, by the same processes; None for none.

        Raises:
            InterruptedTrialError: The user wants an end.
        """
        return self._rounds.fitting(
            lambda: self._measure(edited, semantics, for_memory=for_memory, others=others, other=other),
            self._fewer_at_a_time,
        )

    def _measure(
        self,
        edited: Mapping[str, Job],
        semantics: Compared | None,
        *,
        for_memory: bool,
        others: float,
        other: Dispatch | None,
    ) -> Trial:
        evidence: Evidence | None = None
        judgement: Judgement | None = None
        found: Evidence | None = None
        missing, late = 0.0, False
        earlier, most = bool(self._baseline), 0
        try:
            began = self._clock()
            for evidence in self._evidence(edited):
                judgement = judge(evidence, semantics, for_memory=for_memory, before=most)
                most = max(most, len(evidence.ratios()))
                self._report(judgement.speedup, evidence.left_out)
                if judgement.settled:
                    break
                fair = len(evidence.ratios()) >= QUICK.pairs and not judgement.is_promising
                late = self.left() < self._round_seconds() + (others if fair else 0.0)
                disturbed = evidence.left_out >= self._most_left_out
                if late or disturbed:
                    judgement = _last_of(evidence, semantics, for_memory=for_memory, disturbed=disturbed)
                    # What other processes disturbed is no matter of time.
                    known = for_memory or disturbed
                    missing = 0.0 if known else _missing_seconds(judgement, evidence, self._clock() - began)
                    break
            if other is not None and judgement is not None and judgement.status == "kept":
                found = self._in_other_mode(other)
        except MemberFailedError as error:
            if error.crowded and self.mode != "sequential":
                raise
            # A file may have gone since the pipeline as it is was started, and it fails as well.
            again = error.refused if error.name in BASELINES else error.by_pipeline and error.name in EDITED
            if not (earlier and again):
                return self._failed(error)
            self._team.end()
            self._baseline = {}
            return self._measure(edited, semantics, for_memory=for_memory, others=others, other=other)
        except InterruptedVerificationError:
            raise InterruptedTrialError(_interrupted(evidence, judgement)) from None
        finally:
            self._team.end(*EDITED)
            if not self._baseline:
                self._team.end()
        if judgement is None:
            return Trial("unverified", "no step was measured")
        if earlier and judgement.data is not None and not judgement.data.same:
            # Files may have changed since the pipeline as it is was started: both are started at the same time.
            self._team.end()
            self._baseline = {}
            return self._measure(edited, semantics, for_memory=for_memory, others=others, other=other)
        return Trial(judgement.status, judgement.reason, evidence, judgement, found, missing, late)

    def _fewer_at_a_time(self, mode: Mode) -> None:
        self._baseline = {}
        self._pace = self._fewer(mode) if self._fewer is not None else replace(self._pace, mode=mode)

    def _in_other_mode(self, dispatch: Dispatch) -> Evidence | None:
        """Measure the processes that are there in another mode of dispatch; None where not all of them are."""
        if self.mode != "alternating":
            return None
        for turns in self._rounds.measure(lambda: ROUND, lambda _name, _before: self._block(dispatch)):
            late = self.left() < self._pace.round_seconds and len(turns) >= QUICK.early // 2
            if late or len(turns) >= QUICK.pairs // 2:
                # What the steps in flight were when the mode changed belongs to neither.
                return Evidence(rounds=[dict(turn.blocks) for turn in turns[1:]])
        return None

    def _evidence(self, edited: Mapping[str, Job]) -> Iterator[Evidence]:
        """Yield what was measured, after each round that can be judged."""
        if self.mode == "alternating":
            return self._all_at_once(edited)
        return self._pair_by_pair(edited) if self.mode == "pairs" else self._one_by_one(edited)

    def _round_seconds(self) -> float:
        """Seconds until a verdict can change."""
        starts = 0.0 if self.mode == "alternating" else self._pace.start_seconds
        return starts + self._pace.round_seconds

    def _all_at_once(self, edited: Mapping[str, Job]) -> Iterator[Evidence]:
        jobs = {**({} if self._baseline else self._make_baseline()), **edited}
        built = {**self._baseline, **self._begin(jobs)}
        self._baseline = {name: built[name] for name in BASELINES}
        for turns in self._rounds.measure(lambda: ROUND, self._request):
            counted = undisturbed(turns)
            yield Evidence(built, [dict(turn.blocks) for turn in counted], left_out=len(turns) - len(counted))

    def _pair_by_pair(self, edited: Mapping[str, Job]) -> Iterator[Evidence]:
        jobs = {**self._make_baseline(), **edited}
        evidence = Evidence(rounds=[{} for _ in range(QUICK.pairs // 2)])
        for names in (ROUND[:2], ROUND[:1:-1]):
            evidence.built.update(self._begin({name: jobs[name] for name in names}))
            order = names if names[0] == ROUND[0] else names[::-1]
            rounds = self._rounds.measure(partial(tuple, order), self._request)
            for blocks, turns in zip(evidence.rounds, rounds, strict=False):
                blocks.update(turns[-1].blocks)
            self._team.end(*names)
        yield evidence

    def _one_by_one(self, edited: Mapping[str, Job]) -> Iterator[Evidence]:
        jobs = {**self._make_baseline(), **edited}
        evidence = Evidence(alone=True)
        for number in range(MOST_PROCESS_PAIRS // 2):
            order = order_of(number, ROUND)
            measured = self._rounds.alone(order, jobs.__getitem__, self._pace.warm, self._request)
            blocks = {}
            for name, built, ended in measured:
                evidence.built.setdefault(name, built)
                blocks[name] = ended[0]
            evidence.rounds.append(blocks)
            yield evidence

    def _failed(self, error: MemberFailedError) -> Trial:
        if error.name in BASELINES:
            self._baseline = {}
            self.refusal = error.reason if error.refused else None
            what = error.reason if error.refused else f"the pipeline as it is {error.reason}"
            return Trial("unverified", f"not tried: {what}")
        if error.refused:
            return Trial("unverified", f"not tried: {error.reason}")
        if error.outside:
            return Trial("unverified", f"not tried to its end: the edited pipeline {error.reason}")
        return Trial("rejected", f"the edited pipeline {error.reason}")

    def _begin(self, jobs: Mapping[str, Job]) -> dict[str, Built]:
        """Start workers, and warm them up one by one."""
        built = self._rounds.start(jobs)
        self._rounds.warm_up(jobs, self._pace.warm)
        return built

    def _request(self, _name: str, _before: Sequence[TurnEnded]) -> TurnRequest:
        return self._block()

    def _block(self, dispatch: Dispatch | None = None) -> TurnRequest:
        """A measured turn, in another mode of dispatch than the worker's own if one is given."""
        return replace(self._pace.block, seconds=self._pace.shortest_block, dispatch=dispatch)

    def _report(self, speedup: Interval | None, left_out: int) -> None:
        if speedup is not None and not math.isinf(speedup.high):
            words = f"{significant(speedup.value, 2)}× so far"
            # What counted may be seen to be disturbed as soon as quieter rounds are there: then there are fewer pairs.
            others = f", {left_out} round{'s' if left_out > 1 else ''} disturbed" if left_out else ""
            self._progress.standing(f"{words}{others}")
            self._progress.tick(None, float(speedup.pairs), float(QUICK.pairs))


def _interrupted(evidence: Evidence | None, judgement: Judgement | None) -> Trial | None:
    """What a trial was that the user ended; None where nothing was measured."""
    if evidence is None or judgement is None:
        return None
    return Trial("unverified", f"interrupted; so far {judgement.reason}", evidence, judgement)


def _last_of(evidence: Evidence, semantics: Compared | None, *, for_memory: bool, disturbed: bool) -> Judgement:
    """The judgement where no more pairs are measured, with the rounds that others disturbed where these end it."""
    judgement = judge(evidence, semantics, for_memory=for_memory, last=True)
    if not disturbed or judgement.status != "unverified":
        return judgement
    words = f"other processes disturbed {evidence.left_out} further rounds"
    return replace(judgement, reason=f"{judgement.reason}; {words}")


def _missing_seconds(judgement: Judgement, evidence: Evidence, seconds: float) -> float:
    """How much longer a gain that has too few pairs would have to be measured; 0 where that is not what it lacks."""
    pairs, speedup, needed = len(evidence.ratios()), judgement.speedup, pairs_needed(len(evidence.ratios()))
    if evidence.alone or judgement.status != "unverified" or not pairs or needed is None:
        return 0.0
    if pairs >= QUICK.pairs and speedup is not None and speedup.low <= 1:
        # As many pairs as decide else have not: more of them may not do so either.
        return 0.0
    return seconds / pairs * (needed - pairs) if speedup is not None and speedup.value > LEAST_GAIN else 0.0


def pairs_needed(pairs: int) -> int | None:
    """Pairs after which a gain that has so many is decided next; None where no more of them are measured.

    Example:
        >>> pairs_needed(8), pairs_needed(12), pairs_needed(30)
        (12, 20, None)
    """
    return next((look for look in QUICK.looks if look > pairs), None)


def unfinished_of(trial: Trial, budget: float) -> Unfinished | None:
    """What a trial that shows a gain lacks for a decision; None where more time of this budget's kind decides nothing.

    Args:
        budget: Seconds in which it was measured.
    """
    pairs = len(trial.evidence.ratios()) if trial.evidence is not None else 0
    needed = pairs_needed(pairs)
    if trial.status != "unverified" or trial.missing_seconds <= 0 or needed is None:
        return None
    more = 10 * math.ceil((budget + SPARE * trial.missing_seconds) / 10)
    return Unfinished(pairs=pairs, needed=needed, budget_seconds=more)


def so_far(ratio: float, unfinished: Unfinished) -> str:
    """What an unfinished trial shows, in words.

    Example:
        >>> so_far(1.7, Unfinished(pairs=8, needed=12, budget_seconds=40))
        '1.70× so far after 8 of 12 pairs'
    """
    return f"{ratio_text(ratio)} so far after {unfinished.pairs} of {unfinished.needed} pairs"


def write_into(finding: Finding, trial: Trial, budget: float | None = None) -> None:
    """Write into a finding what it is, and the budget that would decide it where this one was too small."""
    finding.status, finding.reason = trial.status, trial.reason
    finding.unfinished = unfinished_of(trial, budget) if budget is not None else None
    if finding.unfinished is not None:
        finding.reason = f"{finding.reason}: --budget {finding.unfinished.budget_seconds}"
    if trial.judgement is not None and trial.judgement.data is not None and trial.judgement.data.level == "rounding":
        finding.semantics = "values"
    measured = measured_of(trial)
    if measured is None or trial.evidence is None:
        return
    finding.measured = {**measured}
    epochs = [(built.compared, built.reordered) for built in trial.evidence.built.values() if built.compared]
    if epochs:
        compared, reordered = max(epochs)
        if reordered and finding.semantics == "same" and finding.redrawn is None:
            # A cache keeps the order that the user's Python drew in the first epoch.
            finding.semantics = "order"
        order = "in another order" if reordered else "in one order"
        finding.change = f"{finding.change}; two epochs had the same {compared:,} elements, {order}"
    if (restarts := trial.evidence.restarts()) > 0:
        finding.measured["restarts"] = restarts
        times = "once" if restarts == 1 else f"up to {restarts:,} times"
        finding.reason = f"{finding.reason}; the data set ended and was repeated {times} in a process"


def measured_of(trial: Trial) -> Mapping[str, Any] | None:
    """What was measured of an edited pipeline, as a profile has it; None where no pair was."""
    judgement, measured = trial.judgement, trial.evidence.measured() if trial.evidence is not None else None
    if judgement is None or measured is None:
        return None
    saved, data = judgement.saved_bytes, judgement.data
    return {
        **measured,
        "peak_rss_delta_bytes": -saved if saved is not None else None,
        "data": data.words if data is not None else None,
    }
