"""Verification: each edit that a finding proposes is measured against the pipeline as it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from pipeprof.pipelines.changes.edits import SetEnvironment
from pipeprof.pipelines.changes.in_spec_text import spec_diff
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.advise.advise import pays_in_step
from pipeprof.profiles.advise.order import ordered
from pipeprof.profiles.document.findings import Finding, Verification
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Dispatch
from pipeprof.profiles.experiment.jobs import Change, JobMaker, data_of
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.schedule import Mode
from pipeprof.profiles.experiment.team import InterruptedVerificationError, Team
from pipeprof.profiles.harness.event_loop import EXIT_CODES, Signals
from pipeprof.profiles.harness.fork_server import EarlyServer
from pipeprof.profiles.harness.lock import measuring_lock, waiting_note
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.machine import machine_memory
from pipeprof.profiles.host.system_faults import system_fault
from pipeprof.profiles.lines import written_ops
from pipeprof.profiles.propose.finding import finding_of, proposal_of
from pipeprof.profiles.propose.optimistic import withhold_findings
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.verify import bound_advice, ceiling, overlap, settle
from pipeprof.profiles.verify import plan as plans
from pipeprof.profiles.verify.alternatives import (
    builds_on,
    enough_alone,
    inserts_alike,
    is_worth_a_try,
    kept_of,
    without_alternatives,
)
from pipeprof.profiles.verify.expected import by_worth, in_trial_order, promises
from pipeprof.profiles.verify.guessing import combining
from pipeprof.profiles.verify.guessing.caching import filling, kept_by, longest_epoch, why_no_cache
from pipeprof.profiles.verify.guessing.random_order import reclassify
from pipeprof.profiles.verify.guessing.search import guesses
from pipeprof.profiles.verify.price import too_dear
from pipeprof.profiles.verify.stages import pays
from pipeprof.profiles.verify.trials import InterruptedTrialError, Trial, Trials, write_into
from pipeprof.profiles.wording import with_name


def verify(
    profile: Profile,
    settings: RunSettings,
    budget: float,
    progress: RunProgress,
    *,
    end_at: float | None = None,
    save: Callable[[], object] = lambda: None,
    spent: float = 0.0,
    early: EarlyServer | None = None,
) -> None:
    """Try the edits of a profile's findings, and write into the profile what they are.

    Args:
        profile: A complete one; its findings, verdict and exit code are changed.
        budget: Seconds that it may take, starts of processes included up to a quarter more.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
        save: Saves the profile, after each edit that was tried.
        spent: Seconds of what the user has given that were used before, and that the budget does not have.
        early: Makes the copies, if it was begun.
    """
    with Signals().installed() as signals:
        _verify(profile, settings, (budget, spent), progress, end_at, save, signals, early)
        if signals.exit_code is not None:
            # Also where nothing was to be tried.
            profile.exit_code = signals.exit_code


def _verify(  # noqa: PLR0917 - what a verification has
    profile: Profile,
    settings: RunSettings,
    seconds: tuple[float, float],
    progress: RunProgress,
    end_at: float | None,
    save: Callable[[], object],
    signals: Signals,
    early: EarlyServer | None,
) -> None:
    budget, spent = seconds
    reclassify(profile)
    findings, loaded = plans.to_try(profile), settings.loaded
    guessed = [
        finding_of(guess, patch=spec_diff(loaded, guess.edits) if loaded is not None else None)
        for guess in guesses(profile, data_of(settings), profile.host.memory_limit_bytes, longest_epoch(budget))
        if guess.effect in plans.TRIED
    ]
    further = by_worth(profile, [*profile.proposals, *guessed])
    for finding in (*findings, *further):
        finding.cache = kept_by(profile, finding.edits)
    if not (findings or further or (pays(profile) and ceiling.further_bounds(profile, ()))):
        return
    if (reason := plans.cannot_verify(profile)) is not None:
        for finding in findings:
            finding.reason = f"not tried: {reason}"
        return
    run = _Verification(profile, settings, budget, progress, end_at, save, signals, early)
    run.given += spent
    without_edit = [finding for finding in profile.proposals if not run.can_try(finding)]
    for finding in guessed:
        run.leave_out(finding, run.why_not(finding))
    further = [finding for finding in further if run.can_try(finding)]
    progress.note(run.announce(sum(map(run.can_try, [*findings, *further]))))
    try:
        if settings.lock:
            with measuring_lock(settings.command, limit=settings.lock_patience, waiting=run.waiting):
                run.run(findings, further, without_edit)
        else:
            run.run(findings, further, without_edit)
    except InterruptedVerificationError:
        profile.exit_code = signals.exit_code or EXIT_CODES["interrupted"]
        run.end(findings, further, Message(code="verification-interrupted", message=settle.INTERRUPTED), "interrupted")
    except (PipeprofError, OSError) as error:
        # Another command that measures, a worker that cannot be started: what was measured until then stays.
        why = str(system_fault(error) or error)
        run.end(findings, further, Message(code="verification-ended", message=settle.ENDED.format(why)), why)
    finally:
        progress.close()
    withhold_findings(profile)
    run.finish()
    run.settle()


class _Verification:
    """State of one verification."""

    def __init__(  # noqa: PLR0917 - what a verification has
        self,
        profile: Profile,
        settings: RunSettings,
        budget: float,
        progress: RunProgress,
        end_at: float | None,
        save: Callable[[], object],
        signals: Signals,
        early: EarlyServer | None = None,
    ) -> None:
        self._profile = profile
        self._early = early
        self._save = save
        self._signals = signals
        self._budget = budget
        self.given = budget
        """What the user has given, in seconds: a second measurement of what others disturbed has a part of it."""
        self._count = 0
        """Changes that may be tried."""
        self._progress = progress
        self._note_waiting = waiting_note(progress.note, settings.lock_patience)
        self._began = time.monotonic()
        self._until = min(self._began + budget * plans.OVER_BUDGET, math.inf if end_at is None else end_at)
        limit = limits.memory_limit(settings.memory_limit, limits.cgroup_memory(Cgroup()), machine_memory())
        self._limit = limit.bytes if limit is not None else None
        self._mode = plans.mode_of(profile, self._limit)
        self._pace = self._pace_of(self._mode.mode)
        self._data = data_of(settings)
        self._jobs = JobMaker(
            settings,
            memory_limit=self._limit,
            digest_seconds=self._pace.digest_seconds,
            data_progress=progress.data,
            sha256=profile.target.sha256,
            ops=written_ops(profile),
        )
        self._tried = 0
        self._without_gain: list[str] = []
        self._undecided: list[str] = []
        self._no_help: list[Finding] = []
        self._reached: set[int] = set()
        self._same: list[float] = []
        self._bounds: list[tuple[str, Sequence[str]]] = []
        self._not_tried: dict[str, list[Finding]] = {}
        self._lacking: int | None = None
        self._without_time: list[tuple[Finding, str]] = []
        self._bounded: dict[tuple[str, ...], Trial | None] = {}
        self._later: list[tuple[Finding, Sequence[str], str]] = []

    def run(self, findings: Sequence[Finding], further: Sequence[Finding], without_edit: Sequence[Finding]) -> None:
        """Try edits while there is time, in the order of `in_trial_order`, then those that were kept together.

        Upper bounds come last: of the stages of findings without an edit, and of the bottleneck where nothing helped.

        Args:
            further: Edits that are only worth a try; what helps becomes a finding.
            without_edit: Findings that are reported only if their stage's upper bound is a gain.
        """
        server = self._early.take() if self._early is not None else None
        with Team(self._signals, self._limit, server=server).closing() as team:
            trials = Trials(
                team,
                self._pace,
                self._jobs.as_it_is,
                until=self._until,
                timeout=self._jobs.timeout,
                progress=self._progress,
                fewer=self._pace_of,
            )
            candidates = [*findings, *further]
            for finding in findings:
                if not self.can_try(finding):
                    self._try(trials, finding)
                    self._reached.add(id(finding))
            tryable = [finding for finding in candidates if self.can_try(finding)]
            proposed = [*findings, *self._try_all(trials, in_trial_order(self._profile, tryable))]
            self._try_combined(trials, proposed)
            self._try_with_more(trials)
            if self._all_decided:
                self._find_bounds(trials, candidates, self._bound_proposals(trials, without_edit))
            self._try_other_dispatch(trials, proposed)
            self._drop_needless(candidates)

    @property
    def _all_decided(self) -> bool:
        """Whether no change lacks time: only then an upper bound, which nobody can apply, is worth some."""
        unfinished = any(one.unfinished is not None for one in self._profile.findings or ())
        return not (self._without_time or unfinished)

    def _note_mode(self, trials: Trials) -> None:
        """Take the mode that a trial had to change to."""
        if trials.mode != self._mode.mode:
            why = "more of them took more memory than there is"
            self._mode, self._pace = plans.ChosenMode(trials.mode, why), self._pace_of(trials.mode)

    def waiting(self, pid: int | None, seconds: float) -> None:
        """Note who is waited for, and let a signal end the wait for another command that measures.

        Raises:
            InterruptedVerificationError: One came.
        """
        if self._signals.asked is not None:
            raise InterruptedVerificationError
        self._note_waiting(pid, seconds)

    def end(self, findings: Sequence[Finding], further: Sequence[Finding], message: Message, why: str) -> None:
        """Write into the profile why no more is tried; what was not reached is a finding that was not tried."""
        self._profile.warnings.append(message)
        untried = [one for one in further if one.status == "unverified" and not self._is_reported(one)]
        untried = [one for one in untried if one.measured or overlap.may_gain(self._profile, one, self._limit)]
        self._profile.findings = [*(self._profile.findings or ()), *untried]
        for finding in (*findings, *untried):
            if finding.measured is None and id(finding) not in self._reached:
                finding.reason = f"not tried: {why}"

    def _begin(self, words: str) -> None:
        """Begin the next trial; what was found until now is saved, whatever ends this process."""
        self.finish()
        self._save()
        self._progress.ends_in(self._until - time.monotonic())
        self._progress.phase(words, None)

    def why_not(self, finding: Finding) -> str | None:
        """Return why the edit of a finding cannot be tried on this pipeline, in words; None where it can."""
        has_edit, cache = self._jobs.change_of(finding) is not None, None
        if finding.cache is not None:
            cache = why_no_cache(self._profile, finding.edits, self._limit)
        return plans.cannot_try(finding, has_edit=has_edit, step=self._profile.device, cache=cache)

    def can_try(self, finding: Finding) -> bool:
        """Whether the edit of a finding can be tried on this pipeline."""
        return self.why_not(finding) is None

    def leave_out(self, finding: Finding, reason: str | None, *, expected: bool = False) -> None:
        """Note why a change that is no finding is not tried; nothing without a reason.

        Args:
            expected: Whether its reader expects a result, whatever is predicted.
        """
        expected = expected or overlap.may_gain(self._profile, finding, self._limit)
        # Variables that limit the threads of libraries are a guess: they are tried, or not worth a word.
        of_process = finding.edits and all(isinstance(edit, SetEnvironment) for edit in finding.edits)
        if reason is not None and expected and not of_process:
            reason = with_name(reason.removeprefix("not tried: "), self._profile.stages or ())
            self._not_tried.setdefault(reason, []).append(finding)

    @property
    def _needs(self) -> int | None:
        """The budget that one try takes; None where this one holds it."""
        needed = plans.budget_of_one(self._pace)
        return needed if needed > self._budget else None

    def announce(self, count: int) -> str:
        """Return what comes, for the progress."""
        self._count = count
        left = max(0.0, self._until - time.monotonic())
        return plans.announcement(self._profile, self._mode, count, left, is_spec=self._jobs.is_spec, needs=self._needs)

    def finish(self) -> None:
        """Write what was found into the profile."""
        profile = self._profile
        profile.verification = Verification(
            seconds=round(time.monotonic() - self._began, 2),
            budget_seconds=self.given,
            mode=self._mode.mode,
            mode_reason=self._mode.why,
            tried=self._tried,
            without_gain=self._without_gain,
            undecided=self._undecided,
            bounds=[text for text, _ in self._bounds],
            not_tried=plans.by_reason(settle.uncovered(profile, self._not_tried)),
            needs_seconds=self._lacking or (None if self._tried else self._needs),
            block_seconds=self._pace.block.seconds,
            same=self._same or None,
        )
        profile.findings = ordered(profile.findings or ())

    def settle(self) -> None:
        """Make what was found agree with itself and with the verdict, at the end."""
        late = {id(one): self._seconds(one) for one, _ in self._without_time if promises(one)}
        settle.settle(self._profile, self.given, [(one, late.get(id(one), 0.0)) for one, _ in self._without_time])

    def _pace_of(self, mode: Mode) -> plans.Pace:
        """Lengths of what is measured, for so many processes at a time."""
        return plans.pace_of(self._profile, self._budget, self._profile.host.cores or 1.0, mode)

    def _try(self, trials: Trials, finding: Finding, others: float = 0.0) -> None:
        change, reason = self._jobs.change_of(finding), self.why_not(finding)
        stages = ceiling.stages_to_replay(finding, self._profile.stages or ())
        if reason is not None and finding.family == "speed" and stages and not pays_in_step(finding):
            finding.reason = f"not tried: {reason}"
            self._later.append((finding, stages, f"{finding.reason}; " if self._is_reported(finding) else ""))
            return
        reason = reason or self._jobs.changed_since_run()
        if reason is None:
            reason = trials.too_long(self.given, filling(self._profile, finding.edits).trial_seconds)
            if reason is not None:
                self._without_time.append((finding, reason))
        if reason is not None or change is None:
            finding.reason = f"not tried: {reason}"
            return
        try:
            words = settle.progress_words(finding, self._tried + 1, self._count)
            self._start(trials, finding, change, words, others)
        finally:
            # An edit that its graph refuses was not tried.
            self._tried += finding.measured is not None or finding.status == "rejected"

    def _start(self, trials: Trials, finding: Finding, change: Change, say: str, others: float = 0.0) -> None:
        """Measure a change, unless its edits do not apply."""
        fill = filling(self._profile, finding.edits)
        try:
            jobs = self._jobs.edited(change, fill.steps, compares=fill.compares)
        except PipeprofError as error:
            finding.reason = f"not tried: the edit does not apply ({error})"
            return
        self._begin(say)
        self._measure(trials, finding, jobs, others)

    def _is_reported(self, finding: Finding) -> bool:
        return any(finding is one for one in self._profile.findings or ())

    def _bound(self, trials: Trials, finding: Finding, stages: Sequence[str], before: str = "") -> None:
        """Measure the pipeline with stages replaced by a replay, and write into a finding what that says.

        Args:
            before: What to say before the reason why there is no upper bound.
        """
        self._bounded.setdefault(tuple(stages), None)
        stages = ceiling.to_replay(self._profile, stages)
        known = self._bounded.setdefault(tuple(stages), None)
        job = ceiling.replay_job(self._profile, stages, self._limit)
        if isinstance(job, str):
            # Of a change that is shown as code, how a replay works is of no use to its reader.
            why = f"{before}no upper bound: {job}"
            finding.reason = before.removesuffix("; ") if before and finding.python else why
            return
        name = bound_advice.name_together([one for one in self._profile.stages or () if one.id in stages])
        if known is None:
            if trials.refusal is not None:
                finding.reason = f"{before}no upper bound: {trials.refusal}"
                return
            if trials.too_long(self.given) is not None:
                more = self.given + self._pace.seconds_of(self._pace.least_pairs(QUICK.pairs), first=True)
                self._lacking = self._needs or 10 * math.ceil(more / 10)
                finding.reason = f"{before}how much faster it could get was not measured: --budget {self._lacking}"
                return
            self._begin(f"upper bound: the pipeline without {name}")
            known = trials.measure(self._jobs.replayed(job), None, for_memory=False)
            self._bounded[tuple(stages)] = known
        settle, evidence = self._pace.block.settle_seconds, known.evidence
        most = ceiling.bound_of(self._profile, evidence, settle, stages) if evidence else None
        ceiling.write_bound(finding, known, stages, most, name)
        bound_advice.add_save_lines(self._profile, finding, stages)
        if finding.measured is not None:
            finding.measured["mode"] = trials.mode
        if finding.status == "unverified":
            finding.reason = f"{before}{finding.reason}"

    def _bound_proposals(self, trials: Trials, without_edit: Sequence[Finding]) -> list[Finding]:
        """Measure the upper bounds of findings that cannot be tried, and of proposals; return these."""
        self._bound_later(trials)
        for finding in without_edit:
            self._try(trials, finding)
            if self._later:
                self._bound_later(trials)
                self._take_bound(finding)
        return [finding for finding in without_edit if finding.measured is not None]

    def _find_bounds(self, trials: Trials, tried: Sequence[Finding], bounded: Sequence[Finding]) -> None:
        """Measure the upper bounds of stages that no finding has settled; what is a gain becomes a finding."""
        self._bound_later(trials)
        further = ceiling.further_bounds(self._profile, [*tried, *bounded]) if pays(self._profile) else []
        for stages in [one for one in further if one not in self._bounded]:
            told = ceiling.told_by_rule(self._profile, stages, self._untried())
            before = f"{told.reason}; " if told is not None and told.reason else ""
            finding = told or ceiling.bottleneck_finding(self._profile, stages, tried)
            self._bound(trials, finding, stages, before)
            self._take_bound(finding)

    def _untried(self) -> list[Finding]:
        """The findings of rules that have no measurement, since their change cannot be tried."""
        every = [*(self._profile.findings or ()), *self._profile.proposals]
        untried = [one for one in every if one.status == "unverified" and one.measured is None]
        return [one for one in untried if not self.can_try(one) and not pays_in_step(one)]

    def _bound_later(self, trials: Trials) -> None:
        """Measure the upper bounds of findings that cannot be tried: what can be comes first."""
        while self._later:
            self._bound(trials, *self._later.pop(0))

    def _drop_needless(self, tried: Sequence[Finding]) -> None:
        """Leave out what a change has made needless."""
        for finding in ceiling.drop_needless(self._profile, tried, self._no_help):
            self.leave_out(finding, "another change that was measured does it")
        self._bounds = [one for one in self._bounds if not ceiling.is_left_less(self._profile, one[1])]

    def _take_bound(self, finding: Finding) -> None:
        if self._is_reported(finding):
            return
        is_bound = finding.status == "ceiling" and not ceiling.is_for_a_step_only(self._profile, finding)
        if is_bound or (finding.status == "unverified" and finding.python):
            self._profile.findings = [*(self._profile.findings or ()), finding]
        elif finding.reason is not None:
            stages = (finding.measured or {}).get("replayed") or [finding.stage or ""]
            self._bounds.append((ceiling.describe_open_bound(self._profile, finding), stages))

    def _measure(self, trials: Trials, finding: Finding, jobs: dict[str, Job], others: float = 0.0) -> None:
        """Measure an edited pipeline, and write into its finding what it is."""
        try:
            other = self._other_dispatch() if overlap.is_about_overlap(finding) else None
            for_memory, semantics = finding.family == "memory", proposal_of(finding).compared_as
            trial = trials.measure(jobs, semantics, for_memory=for_memory, others=others, other=other)
        except InterruptedTrialError as error:
            if error.trial is not None:
                write_into(finding, error.trial)
            raise
        write_into(finding, trial, self.given)
        if (why := too_dear(finding, self._profile.memory.peak_bytes, self._limit)) is not None:
            finding.status, finding.reason = "rejected", why
        if (changed := self._jobs.changed_since_run()) is not None:
            finding.status, finding.measured, finding.reason = "unverified", None, f"not judged: {changed}"
        self._note_mode(trials)
        if finding.measured is not None:
            finding.measured["mode"] = trials.mode
            if other is not None and (found := overlap.as_measured(trial.other, other)) is not None:
                finding.measured["other_dispatch"] = found
        same = trial.evidence.same() if trial.evidence is not None else None
        if same is not None and math.isfinite(same.high):
            self._same = [same.value, same.low, same.high]

    def _try_all(self, trials: Trials, candidates: Sequence[Finding]) -> list[Finding]:
        """Try edits in their order; return the kept ones of those that the profile does not report yet."""
        kept = []
        for number, finding in enumerate(candidates, 1):
            # A close answer leaves the next one time for a first look.
            others = min((self._seconds(one, QUICK.early) for one in candidates[number:]), default=0.0)
            if self._is_reported(finding):
                self._try(trials, finding, others)
                self._reached.add(id(finding))
            elif self._is_worth_a_try(trials, finding):
                self._try(trials, finding, others)
                if finding.status == "kept":
                    kept += self._take(finding, [one for one in kept_of(self._profile) if builds_on(finding, one)])
                elif finding.unfinished is not None and overlap.may_gain(self._profile, finding, self._limit):
                    # Nothing else would state that it was not decided.
                    self._profile.findings = [*(self._profile.findings or ()), finding]
                else:
                    self._no_help.append(finding)
                    self._note(finding)
        return kept

    def _note(self, finding: Finding) -> None:
        """Note a change that is no finding: its trial, or why it has none."""
        if finding.status != "rejected" and finding.measured is None:
            self.leave_out(finding, finding.reason)
            return
        words = self._without_gain if finding.status == "rejected" else self._undecided
        why = str(finding.reason).removeprefix("undecided: ")
        words.append(f"{plans.which_change(self._profile, finding)}: {why}")

    def _seconds(self, finding: Finding, pairs: int = QUICK.pairs) -> float:
        """Seconds that a trial takes, with those in which a cache fills."""
        return self._pace.seconds_of(pairs, first=False) + filling(self._profile, finding.edits).trial_seconds

    def _is_worth_a_try(self, trials: Trials, finding: Finding) -> bool:
        """Whether an edit that is reported only where it helps may bring more than what was kept, and fits."""
        profile = self._profile
        if overlap.only_overlaps_full_cores(profile, finding) or not is_worth_a_try(finding, kept_of(profile)):
            return False
        if any(inserts_alike(finding, other) for other in self._no_help):
            return False
        if not (fits := trials.fits(QUICK.early, filling(profile, finding.edits).trial_seconds)):
            self._without_time.append((finding, trials.refusal or self._used_up()))
            self.leave_out(*self._without_time[-1])
        return fits

    def _used_up(self) -> str:
        """Why a change has no time, and the budget that has it for one more, in words."""
        more = self.given + self._pace.seconds_of(self._pace.least_pairs(QUICK.pairs), first=False)
        self._lacking = self._lacking or 10 * math.ceil(more / 10)
        return f"the budget of {self.given:.0f} s has no time for it: --budget {self._lacking}"

    def _take(self, finding: Finding, parts: Sequence[Finding]) -> list[Finding]:
        """Report what was kept, unless one of its parts does as well."""
        if (enough := enough_alone(finding, parts)) is not None:
            alone = enough.change or enough.title
            self._without_gain.append(f"{finding.change}: not better for certain than {alone} alone")
            return []
        self._profile.findings = [*(self._profile.findings or ()), finding]
        return [finding]

    def _try_combined(self, trials: Trials, findings: Sequence[Finding]) -> None:
        """Try all kept edits together: gains do not add up."""
        every = without_alternatives([finding for finding in findings if finding.status == "kept"])
        lasting = [finding for finding in every if finding.cache is None]
        for kept in [lasting, every] if len(lasting) < len(every) else [every]:
            if len(kept) < 2 or not trials.fits(QUICK.pairs):
                continue
            together = combining.together(kept, self._data)
            self._try_together(trials, together, f"trying all {len(kept)} together")
            if together.status == "kept":
                self._take(together, kept)

    def _try_with_more(self, trials: Trials) -> None:
        """Try what did not help alone together with what helped most: another stage may set the pace now."""
        kept = kept_of(self._profile)
        best, count = combining.best_of([finding for finding in kept if finding.cache is None] or kept)
        for more in combining.worth_another_try(self._profile, best, self._no_help) if best is not None else ():
            if best is None or not trials.fits(QUICK.pairs):
                return
            found = combining.with_more(best, more, self._data, count=count + 1)
            self._try_together(trials, found, f"trying {more.title} in addition")
            if found.status == "kept" and self._take(found, [best]):
                every, best, count = self._profile.findings or (), found, count + 1
                self._profile.findings = [one for one in every if one is found or one.rule != combining.COMBINED]

    def _try_together(self, trials: Trials, together: Finding, words: str) -> None:
        """Measure several edits, which may exclude each other."""
        together.cache = kept_by(self._profile, together.edits)
        change, further = self._jobs.change_of(together), filling(self._profile, together.edits).trial_seconds
        if change is not None and trials.fits(QUICK.pairs, further):
            self._start(trials, together, change, words)
            if together.status != "kept":
                self._note(together)

    def _other_dispatch(self) -> Dispatch | None:
        """The mode in which what overlap gains is measured as well; None where there is no other."""
        steps, device = self._profile.steps, self._profile.device
        return overlap.other_dispatch(steps.dispatch if steps else None, device.kind if device else "none")

    def _try_other_dispatch(self, trials: Trials, findings: Sequence[Finding]) -> None:
        """Measure what overlap gains in the other mode of dispatch too: there it may gain nothing, or more."""
        other, kept = self._other_dispatch(), overlap.without_other_dispatch(findings)
        if other is None or not kept or not trials.fits(QUICK.pairs):
            return
        makes = self._jobs.in_dispatch(other)
        trials.rebase(makes.as_it_is)
        for finding in kept:
            change = makes.change_of(finding)
            if change is None or finding.measured is None or not trials.fits(QUICK.early):
                continue
            self._begin(f"{finding.title}: the other mode of dispatch")
            trial = trials.measure(makes.edited(change), proposal_of(finding).compared_as, for_memory=False)
            if (found := overlap.as_measured(trial.evidence, other)) is not None:
                finding.measured["other_dispatch"] = found
        trials.rebase(self._jobs.as_it_is)
