"""The search: race what may help, take the best, look again, until nothing helps or the time is over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, TypeAlias

from pipeprof.pipelines.changes.edits import TargetKind
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.document.findings import FixStep, LeftOut, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.decision import LEAST_GAIN, SPEED_FLOOR, Outcome, outcomes
from pipeprof.profiles.experiment.evidence import MEMORY_BYTES, saves_memory
from pipeprof.profiles.experiment.purposes import RACE
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.fix.candidates import EVERYWHERE, candidates, is_possible
from pipeprof.profiles.fix.earlier import left_out
from pipeprof.profiles.fix.laboratory import Laboratory
from pipeprof.profiles.fix.race import BaseFailedError, ChangedFileError, Raced
from pipeprof.profiles.fix.version import Version
from pipeprof.profiles.propose.proposal import SEMANTICS, Proposal, Redrawn, Semantics, different, effort, most_redrawn
from pipeprof.profiles.propose.queue import UNKNOWN_GAIN, Tried
from pipeprof.profiles.verify.guessing.caching import LONGEST_EPOCH, kept_by, why_no_cache
from pipeprof.profiles.wording import ratio_text, size, span_text, with_name

Kind = Literal["faster", "smaller", "no-gain", "unclear", "failed", "refused"]


@dataclass(frozen=True)
class Decision:
    """What a step is."""

    kind: Kind
    reason: str


@dataclass(frozen=True)
class Aim:
    """What counts."""

    limit_bytes: int | None = None
    memory: bool = False


def decide_all(raced: Mapping[str, Raced], steps: Mapping[str, Proposal], aim: Aim) -> dict[str, Decision]:
    """Decide what the steps of a race are; all that are called faster are so together (Holm)."""
    tests = {name: (one.compared, SPEED_FLOOR) for name, one in raced.items() if one.compared is not None}
    known = outcomes(tests)
    return {name: decide(one, steps[name], aim, known.get(name, "unclear")) for name, one in raced.items()}


def decide(raced: Raced, candidate: Proposal, aim: Aim, outcome: Outcome) -> Decision:
    """Decide what a step is, from what its speed is."""
    if raced.failure is not None:
        return Decision("refused" if raced.refused else "failed", raced.failure)
    ratio = raced.ratio
    if ratio is None or ratio.pairs < RACE.early:
        return Decision("unclear", "too few rounds were measured")
    over = aim.limit_bytes is not None and raced.peak_bytes is not None and raced.peak_bytes > aim.limit_bytes
    saved = saved_bytes(raced)
    before, after = raced.base_peak_bytes, raced.peak_bytes
    saves = before is not None and after is not None and saves_memory(before, after, raced.runtime_bytes or 0)
    words = in_words(ratio)
    memory = f", {_saved_words(saved)}" if saved is not None and abs(saved) >= MEMORY_BYTES else ""
    if over and not (aim.memory and saves):
        limit, peak = size(aim.limit_bytes or 0), size(raced.peak_bytes or 0)
        found = Decision("no-gain", f"needs {peak}, the limit is {limit}; speed {words}")
    elif saves and (aim.memory or (candidate.for_memory and ratio.value >= 1 / LEAST_GAIN)):
        found = Decision("smaller", f"{_saved_words(saved)}; speed {words}")
    elif candidate.for_memory and saves:
        found = Decision("no-gain", f"{_saved_words(saved)}, but slower: {words}")
    elif aim.memory:
        found = Decision("no-gain", f"saves no memory that counts; speed {words}")
    elif outcome == "above":
        found = Decision("faster", f"{words}{memory}")
    elif raced.compared is not None and raced.compared.falls_short():
        found = Decision("no-gain", f"no gain: {words}{memory}")
    else:
        found = Decision("unclear", f"cannot tell: {words}{memory}")
    return found


def best_of(
    decisions: Mapping[str, Decision], raced: Mapping[str, Raced], aim: Aim, steps: Mapping[str, Proposal]
) -> str | None:
    """The step to take: the fastest; where memory counts, the one that saves most. None without one.

    A cache is taken where nothing without one is faster: on top of that, it is tried again.

    Of several that are about as fast, it is AUTOTUNE everywhere if that is one of them, which needs no number for this
    machine, and else the simplest one: without memory for data, without new stages, with the fewest edits.
    """
    faster = [name for name, decision in decisions.items() if decision.kind == "faster"]
    smaller = [name for name, decision in decisions.items() if decision.kind == "smaller"]
    if aim.memory or not faster:
        return max(smaller, key=lambda name: saved_bytes(raced[name]) or 0, default=None)
    faster = [name for name in faster if not steps[name].caches] or faster
    most = max(_value(raced[name]) for name in faster)
    near = [name for name in faster if is_near(raced[name], most)]

    def rank(name: str) -> tuple[object, ...]:
        return steps[name].title != EVERYWHERE, effort(steps[name].edits), -_value(raced[name])

    return min(near, key=rank)


def is_promising(decision: Decision, raced: Raced) -> bool:
    """Whether a step that a race could not decide about is probably faster: more measuring may prove it."""
    ratio = raced.ratio
    return decision.kind == "unclear" and ratio is not None and ratio.low > 1.0 and ratio.pairs >= RACE.early


def is_near(raced: Raced, speedup: float) -> bool:
    """Whether a step is about as fast as one with that speed-up, or faster."""
    return _value(raced) * LEAST_GAIN >= speedup


def saved_bytes(raced: Raced) -> int | None:
    """Fall of the peak; negative where it rose."""
    if raced.peak_bytes is None or raced.base_peak_bytes is None:
        return None
    return raced.base_peak_bytes - raced.peak_bytes


def in_words(ratio: Interval) -> str:
    """A factor with its interval.

    Example:
        >>> in_words(Interval(0.5844, 0.01, 11, 6))
        '1.79× (1.75–1.84)'
    """
    if ratio.pairs < RACE.early:
        return f"{ratio_text(ratio.value)}"
    return f"{ratio_text(ratio.value)} ({span_text(ratio.low, ratio.high)})"


def _saved_words(saved: int | None) -> str:
    return f"{size(saved)} less memory" if saved is not None and saved > 0 else f"{size(-(saved or 0))} more memory"


def _value(raced: Raced) -> float:
    return raced.ratio.value if raced.ratio is not None else 0.0


_NO_TIME = "what is left of the budget is too short for another change and its proof"


Result: TypeAlias = Literal["taken", "behind", "rejected", "unclear", "not-tried"]


@dataclass(frozen=True)
class _Promise:
    """A step that is probably faster, of a race that took none; nothing is faster for certain so far."""

    candidate: Proposal
    version: Version
    raced: Raced
    step: FixStep

    @property
    def gain(self) -> float:
        return self.raced.ratio.value if self.raced.ratio is not None else 1.0


@dataclass
class Found:
    """The result of a search.

    Attributes:
        steps: Everything that was tried, in order.
        for_memory: Only memory was gained.
        gain: Product of the factors of the steps taken.
        exit_code: Of the command, where something else than its own signals had to say it.
        changed: Which file of the pipeline has changed meanwhile, in words: nothing more can be measured.
        promised: No race could decide about the one step that was taken: the proof does.
        redrawn: What the steps that were taken change of what each run draws anew anyway.
        needs_seconds: The budget in which a change can be tried and proven, where this one was too small.
    """

    best: Version
    steps: list[FixStep] = field(default_factory=list)
    semantics: list[Semantics] = field(default_factory=list)
    for_memory: bool = False
    reason: str = ""
    gain: float = 1.0
    interrupted: bool = False
    exit_code: int | None = None
    changed: str | None = None
    promised: bool = False
    left_out: list[LeftOut] = field(default_factory=list)
    redrawn: Redrawn | None = None
    needs_seconds: int | None = None


@dataclass
class Search:
    """A search for the best version of a pipeline.

    Attributes:
        longest_epoch: Seconds of an epoch up to which a cache is tried.
        proven: Changes of the pipeline as it is that an earlier run has proven: they are tried first.
    """

    start: Version
    profile: Profile
    lab: Laboratory
    _: KW_ONLY
    kind: TargetKind
    allowed: Collection[Semantics]
    limit_bytes: int | None = None
    short_of_memory: bool = False
    longest_epoch: float = LONGEST_EPOCH
    proven: Sequence[Proposal] = ()

    def __post_init__(self) -> None:
        limit = self.limit_bytes
        self._memory = limit if limit is not None else self.profile.host.memory_limit_bytes
        self._peak = self.profile.memory.peak_bytes
        self._done: set[str] = set()
        self._without_gain: set[str] = set()
        self._number = 0
        self._promise: _Promise | None = None
        self._tried: list[Tried] = []
        self._late = False
        self.found = Found(self.start)

    def run(self) -> Found:
        """Search; an interruption ends it with the best so far."""
        found = self.found
        try:
            found.reason = self._run()
            self._take_promise()
            found.left_out = left_out(self._not_allowed(), found.gain)
        except InterruptedVerificationError as error:
            found.interrupted, found.reason, found.exit_code = True, "", error.exit_code
        except ChangedFileError as error:
            found.changed = found.reason = str(error)
        return found

    def _run(self) -> str:
        while True:
            group = self._next_group()
            if not group:
                return self._why_no_time() if self._late else self._why_no_more()
            if self._promise is not None and all(self._promises_less(candidate) for candidate, _ in group.values()):
                return _NO_TIME
            try:
                raced = self.lab.race(self.found.best, group)
            except BaseFailedError as error:
                return f"no change can be tried: {error}"
            if not self._take_best(group, raced):
                continue
            if not self.lab.fits([[edit for step in self.found.best.steps for edit in step]]):
                return _NO_TIME
            again = self.lab.look(self.found.best)
            if again is None:
                return "the changed pipeline could not be measured alone"
            self.profile, self._tried = again, []

    def _why_no_time(self) -> str:
        """Why nothing more is tried, in words: a budget in which not even one change can be proven is named."""
        tried = any(step.speedup is not None for step in self.found.steps)
        if tried:
            return _NO_TIME
        self.found.needs_seconds = self.lab.least_budget
        return f"the budget is too small to prove a change: --budget {self.found.needs_seconds}"

    def _why_no_more(self) -> str:
        """Why nothing is left to try, in words, and what more could be allowed."""
        further = list(different(self._not_allowed()))
        if not further:
            return self._why_none_allowed()
        names = ",".join(name for name in SEMANTICS if any(candidate.effect == name for candidate in further))
        many = f"{len(further)} more change{'s' if len(further) > 1 else ''}"
        return f"{self._why_none_allowed()}; --allow {names} tries {many}"

    def _why_none_allowed(self) -> str:
        """Why nothing is left of what is allowed."""
        tried = [step for step in self.found.steps if step.speedup is not None]
        if self.found.best.steps:
            return "nothing further helps"
        if tried[1:]:
            return f"none of {len(tried)} changes that were measured helps"
        if tried:
            return "the change that was measured does not help"
        bound = self.profile.verdict.bound if self.profile.verdict is not None else None
        return "the step is the limit, not the pipeline" if bound == "step" else "no change fits this pipeline"

    def _not_allowed(self) -> list[Proposal]:
        """The changes that could be tried if their classes were allowed; first those that an earlier run has proven."""
        every = [one for one in (*self.proven, *self._candidates(SEMANTICS)) if one.effect not in self.allowed]
        return [
            one
            for one in every
            if is_possible(one, self.kind, SEMANTICS) and why_no_cache(self.profile, one.edits, self._memory) is None
        ]

    @property
    def _aim(self) -> Aim:
        over = self.limit_bytes is not None and self._peak is not None and self._peak > self.limit_bytes
        return Aim(self.limit_bytes, memory=over or self.short_of_memory)

    def _candidates(self, allowed: Collection[Semantics]) -> list[Proposal]:
        """What to try on the best pipeline so far."""
        loaded = self.found.best.loaded
        return candidates(
            self.profile,
            self.kind,
            allowed,
            for_memory=self._aim.memory,
            longest_epoch=self.longest_epoch,
            trial_seconds=self.lab.trial_seconds,
            tried=self._tried,
            data=loaded.data if loaded is not None else None,
        )

    def _next_group(self) -> dict[str, tuple[Proposal, Version]]:
        """What is raced next: the first changes of the queue that the time left can decide about."""
        group: dict[str, tuple[Proposal, Version]] = {}
        self._late = False
        before = [edit for step in self.found.best.steps for edit in step]
        proven = [one for one in self.proven if is_possible(one, self.kind, self.allowed)]
        # They were proven for the pipeline as it is.
        proven = [] if self.found.best.steps else proven
        listed = self._candidates(self.allowed)
        for candidate in _lasting_first(different((*proven, *listed)), self._done):
            if candidate.key in self._done:
                continue
            if (reason := why_no_cache(self.profile, candidate.edits, self._memory)) is not None:
                self._done.add(candidate.key)
                self._record(candidate, "not-tried", reason, None)
                continue
            if len(group) >= self.lab.most:
                break
            raced = [[*before, *one.edits] for one in (*(known for known, _ in group.values()), candidate)]
            if not self.lab.fits(raced):
                # A later one may take less time: it has no cache to fill.
                self._late = True
                continue
            try:
                version = self.found.best.then(candidate.edits)
            except PipeprofError as error:
                self._done.add(candidate.key)
                first, *_ = str(error).strip().splitlines() or [type(error).__name__]
                reason = with_name(first, self.profile.stages or ())
                self._record(candidate, "not-tried", f"does not apply: {reason}", None)
                continue
            others = [one.loaded.data for _, one in group.values() if one.loaded is not None]
            if version.loaded is None or version.loaded.data not in others:
                group[f"C{len(group) + 1}"] = (candidate, version)
        return group

    def _take_best(self, group: Mapping[str, tuple[Proposal, Version]], raced: Mapping[str, Raced]) -> bool:
        """Record a race; return whether one of its steps was taken."""
        self._number += 1
        aim, steps = self._aim, {name: candidate for name, (candidate, _) in group.items()}
        decisions = decide_all({name: raced[name] for name in group if name in raced}, steps, aim)
        best = best_of(decisions, raced, aim, steps)
        for name, decision in decisions.items():
            candidate, ratio = group[name][0], raced[name].ratio
            if ratio is not None:
                self._tried.append(Tried(candidate, ratio.value))
            if name == best:
                self._record(candidate, "taken", decision.reason, raced[name])
            elif decision.kind in {"faster", "smaller"} and best is not None:
                # On the pipeline with the best step it may help once more.
                self._record(
                    candidate, "behind", f"{decision.reason}: {_behind(raced[name], raced[best])}", raced[name]
                )
                continue
            else:
                self._record(candidate, _result_of(decision), decision.reason, raced[name])
                if ratio is not None and ratio.high >= 1.0:
                    self._without_gain.add(candidate.key)
                if best is None and not self.found.best.steps and is_promising(decision, raced[name]):
                    promise = _Promise(*group[name], raced[name], self.found.steps[-1])
                    if self._promise is None or promise.gain > self._promise.gain:
                        self._promise = promise
                        self.lab.promises(promise.gain)
            self._done.add(candidate.key)
        if best is None:
            return False
        # The pipeline with the best step has another bottleneck: what brought nothing there may help now.
        self._done -= self._without_gain
        self._without_gain.clear()
        found, one = self.found, raced[best]
        found.for_memory = decisions[best].kind == "smaller" and (found.for_memory or not found.best.steps)
        self._promise = None
        self._take(*group[best], one)
        saved = saved_bytes(one)
        if self._peak is not None and saved is not None:
            self._peak = one.peak_bytes if aim.memory and one.peak_bytes is not None else self._peak - saved
        self.short_of_memory = False
        return True

    def _take(self, candidate: Proposal, version: Version, raced: Raced) -> None:
        found = self.found
        found.best = version
        rounded = raced.data is not None and raced.data.level == "rounding"
        found.semantics.append("values" if rounded else candidate.effect)
        found.redrawn = most_redrawn((found.redrawn, candidate.redrawn))
        found.gain *= raced.ratio.value if raced.ratio is not None else 1.0
        self.lab.taken(candidate.title, found.gain)

    def _promises_less(self, candidate: Proposal) -> bool:
        """Whether less is expected of a change than what the most promising one seems to give."""
        speedup = UNKNOWN_GAIN if candidate.speedup is None else candidate.speedup
        return self._promise is not None and speedup < self._promise.gain

    def _take_promise(self) -> None:
        """Take the most promising step where none was faster for certain: the proof measures it longest."""
        promise = self._promise
        if promise is None or self.found.best.steps:
            return
        promise.step.result = "taken"
        promise.step.reason = f"its race {promise.step.reason}; the most promising one, which the proof decides about"
        self.found.promised = True
        self._take(promise.candidate, promise.version, promise.raced)

    def _record(self, candidate: Proposal, result: Result, reason: str, raced: Raced | None) -> None:
        ratio = raced.ratio if raced is not None else None
        saved = saved_bytes(raced) if raced is not None else None
        self.found.steps.append(
            FixStep(
                round=self._number,
                title=candidate.title,
                change=candidate.change,
                rule=candidate.rule,
                stage=candidate.stage,
                semantics=candidate.effect,
                redrawn=candidate.redrawn,
                edit=documents_of(candidate.edits),
                predicted=candidate.speedup,
                cache=kept_by(self.profile, candidate.edits),
                result=result,
                reason=with_name(reason, self.profile.stages or ()),
                speedup=ratio.value if ratio is not None else None,
                low=ratio.low if ratio is not None else None,
                high=ratio.high if ratio is not None and ratio.pairs > 1 else None,
                ratios=[round(one, 4) for one in raced.ratios] if raced is not None else [],
                peak_bytes=raced.peak_bytes if raced is not None else None,
                peak_rss_delta_bytes=-saved if saved is not None else None,
                data=raced.data.words if raced is not None and raced.data is not None else None,
            )
        )


def _lasting_first(found: Iterable[Proposal], done: Collection[str]) -> list[Proposal]:
    """The same changes; the first one that is raced gains in each epoch, not from a cache."""
    listed = list(found)
    best = next((one for one in listed if not one.caches and one.key not in done), None)
    return listed if best is None else [best, *(one for one in listed if one is not best)]


def _result_of(decision: Decision) -> Result:
    known: dict[str, Result] = {"refused": "not-tried", "unclear": "unclear"}
    return known.get(decision.kind, "rejected")


def _behind(raced: Raced, best: Raced) -> str:
    near = raced.ratio is not None and best.ratio is not None and is_near(raced, best.ratio.value)
    return "about as fast as the one that was taken" if near else "another one was better"
