"""What `run` and `fix` race: one race and the best of it together, or races until nothing helps.

Neither knows where its changes come from, nor how they are measured: both get proposals, most promising first, and a
track that races them against one base. What needs another base is another race.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.advise.claims import SLOWER
from pipeprof.profiles.advise.proposal import Proposal, different
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.evidence import MEMORY_BYTES
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.tries.combine import (
    COMBINED,
    Contender,
    SearchStep,
    Taken,
    TriedChange,
    best_of,
    combined,
    is_better,
    is_worth_a_try,
    on_top_of,
    that_go_together,
    together,
)
from pipeprof.profiles.tries.race import BaseLostError, RaceResult
from pipeprof.profiles.tries.track import WorkerTrack
from pipeprof.profiles.wording import listed, ratio_text, size

NEARLY = 0.95
"""Of the gain of a free pipeline, from which nothing is left to gain."""
NO_TIME = "what is left of the budget is too short for another change and its proof"


def fitting(track: WorkerTrack, waiting: Iterable[Contender]) -> dict[str, Contender]:
    """The first of what waits that the time left can decide about, by the names of their processes.

    One that does not fit leaves its place to a later one, which may take less time: it has no cache to fill.
    """
    group: list[Contender] = []
    for one in waiting:
        if len(group) < track.most and track.fits([*group, one]):
            group.append(one)
    return {f"C{number}": one for number, one in enumerate(group, 1)}


def next_after(group: Mapping[str, Contender], waiting: Sequence[Contender]) -> list[Contender]:
    """What may be raced after a group: one that waits, or what the group keeps, together."""
    changes = [one for one in group.values() if not one.is_bound]
    return [*waiting, *changes[1:]][:1]


def _without(waiting: Iterable[Contender], gone: Iterable[Contender]) -> list[Contender]:
    known = {id(one) for one in gone}
    return [one for one in waiting if id(one) not in known]


def _lasting_first(waiting: Sequence[Contender]) -> list[Contender]:
    """The same; the first one gains speed in each epoch, not from a cache."""
    lasting = [one for one in waiting if not (one.is_bound or one.proposal.caches or one.proposal.for_memory)]
    best = next(iter(lasting), None)
    return list(waiting) if best is None else [best, *_without(waiting, [best])]


@dataclass
class OneRace:
    """The search of `run`: one race, and another one of what it kept together, and had no room for, if the time lasts.

    Attributes:
        is_reached: Whether what was kept gives what is left to gain at stages: their upper bound is needless.
        most: Gain of a pipeline that costs nothing.
        late: What waits; in the end what had no time.
    """

    track: WorkerTrack
    start: Version
    ideas: Sequence[Contender]
    _: KW_ONLY
    is_reached: Callable[[Sequence[str], Sequence[TriedChange]], bool] = lambda _stages, _kept: False
    most: float = math.inf
    after: Callable[[], object] = lambda: None
    tried: list[TriedChange] = field(default_factory=list)
    late: list[Contender] = field(default_factory=list)
    lost: str | None = None
    races: int = 0

    def run(self) -> None:
        """Race what there is time for; what ends it early (as `WorkerTrack.race`) leaves in `tried` what is known."""
        self.late = list(self.ideas)
        while group := self._next_group():
            self.races += 1
            self.late = _without(self.late, group.values())
            try:
                self._note(group, self.track.race(self.start, group, next_after(group, self.late)))
            except InterruptedVerificationError:
                self._note(group, self.track.so_far())
                raise
            except BaseLostError as error:
                self.lost, self.late = str(error), [*group.values(), *self.late]
                return

    def _note(self, group: Mapping[str, Contender], results: Mapping[str, RaceResult]) -> None:
        self.tried += [TriedChange(group[name], one, self.races) for name, one in results.items()]
        self.after()

    @property
    def single(self) -> list[TriedChange]:
        """Each change that helps by itself."""
        return [one for one in self.tried if one.is_kept and one.proposal.rule != COMBINED]

    @property
    def joined(self) -> list[TriedChange]:
        """Changes that help together, more than each of them alone for certain."""
        every = [one for one in self.tried if one.is_kept and one.proposal.rule == COMBINED]
        return [one for one in every if is_better(one.result, self._parts(one.proposal))]

    def _parts(self, whole: Proposal) -> list[RaceResult]:
        edits = set(map(str, whole.edits))
        return [one.result for one in self.single if set(map(str, one.proposal.edits)) <= edits]

    def _next_group(self) -> dict[str, Contender]:
        """What is raced next: what was kept together, then what waits."""
        done = [one.proposal.edits for one in self.tried]
        wholes = [one for one, parts in combined(self.single) if not self._reaches_all(parts)]
        wholes += self._with_undecided()
        whole = [Contender(one) for one in wholes if one.edits not in done]
        self.late = [one for one in self.late if not self._is_needless(one)]
        return fitting(self.track, [*whole, *_lasting_first(self.late)])

    def _with_undecided(self) -> Iterator[Proposal]:
        """What lasts, with each change that was not decided alone: what hid its gain may be gone with it.

        Windows that were cut at once were 2.4 times as fast, a map on whole batches 0.89 to 1.09 times; both, 24 times.
        """
        lasting = that_go_together(one for one in self.single if not one.proposal.caches)
        for one in self.tried if lasting and not self._reaches_all(lasting) else ():
            change, proposal = one.result.change, one.proposal
            is_open = one.result.status == "undecided" and change is not None and change.high > 1
            is_other = one.contender.is_bound or proposal.rule == COMBINED or proposal.caches or proposal.for_memory
            parts = that_go_together([*lasting, one]) if is_open and not is_other else []
            if one in parts and len(parts) > 1:
                first, *others = (part.proposal.title for part in parts)
                title = listed([first, *(f"{other[:1].lower()}{other[1:]}" for other in others)])
                yield together([part.proposal for part in parts], title)

    def _is_needless(self, contender: Contender) -> bool:
        if contender.is_bound:
            return self.is_reached(contender.proposal.covers, self.single)
        lasting = [one for one in self.single if not one.proposal.caches]
        is_reached = self._reaches_all(lasting) and not contender.proposal.for_memory
        return is_reached or not is_worth_a_try(contender.proposal, self.single)

    def _reaches_all(self, kept: Iterable[TriedChange]) -> bool:
        return any(one.gain >= NEARLY * self.most for one in kept)


@dataclass
class ManyRaces:
    """The search of `fix`: races until nothing helps or the time is over.

    What helps most is taken. What else helped in the same race is raced on top of it, all together and in parts; then
    the pipeline is looked at alone, and the search goes on from there, with the profile of the best pipeline so far.
    """

    track: WorkerTrack
    best: Version
    profile: Profile
    ideas: Callable[[Profile, Version], Sequence[Proposal]]
    _: KW_ONLY
    limit_bytes: int | None = None
    short_of_memory: bool = False
    taken: Callable[[TriedChange, float], object] = lambda _one, _gain: None
    steps: list[SearchStep] = field(default_factory=list)
    reason: str = ""
    races: int = 0

    def __post_init__(self) -> None:
        self.for_memory = False
        """Only memory was gained."""
        self._peak = self.profile.memory.peak_bytes
        self._done: set[str] = set()
        self._may_help_later: set[str] = set()

    @property
    def chosen(self) -> list[TriedChange]:
        """What was taken, in order."""
        return [step.tried for step in self.steps if step.result == "taken"]

    @property
    def gain(self) -> float:
        """Steps per second of the best pipeline over those of the pipeline as it is."""
        return math.prod((one.gain or 1.0 for one in self.chosen), start=1.0)

    @property
    def proposal(self) -> Proposal:
        """All that was taken as one change of the pipeline as it is."""
        return together([one.proposal for one in self.chosen])

    def run(self) -> None:
        """Search; what ends it early (as `WorkerTrack.race`) leaves what is the best so far."""
        try:
            self.reason = self._run()
        except BaseLostError as error:
            self.reason = f"no change can be tried: {error}"

    def _run(self) -> str:
        while True:
            waiting = self._waiting()
            group = fitting(self.track, waiting)
            if not group:
                return NO_TIME if waiting else self._why_no_more()
            before = self.best
            tried = self._race(group, next_after(group, _without(waiting, group.values())))
            best = self._take(tried)
            if best is None:
                continue
            self._race_on_top(before, best, tried)
            if not self.track.fits([Contender(Proposal())]):
                return NO_TIME
            profile = self.track.look(self.best)
            if profile is None:
                return "the changed pipeline could not be measured alone"
            self.profile = profile

    def _waiting(self) -> list[Contender]:
        proposals = [one for one in different(self.ideas(self.profile, self.best)) if one.key not in self._done]
        return _lasting_first([Contender(one) for one in proposals])

    @property
    def _aims_at_memory(self) -> bool:
        over = self.limit_bytes is not None and self._peak is not None and self._peak > self.limit_bytes
        return over or self.short_of_memory

    def _race(self, group: Mapping[str, Contender], waiting: Sequence[Contender] = ()) -> list[TriedChange]:
        self.races += 1
        memory = self._aims_at_memory
        try:
            results: Mapping[str, RaceResult] = self.track.race(self.best, group, waiting, for_memory=memory)
        except InterruptedVerificationError:
            for name, one in self.track.so_far().items():
                self._note(TriedChange(group[name], one, self.races), "unclear")
            raise
        return [TriedChange(group[name], one, self.races) for name, one in results.items()]

    def _race_on_top(self, before: Version, best: TriedChange, tried: Sequence[TriedChange]) -> None:
        """Race what else has helped, with what was taken, against what was taken alone."""
        others = [one.proposal for one in tried if one is not best and self._counts(one)]
        if not self.best.steps or not others:
            return
        whole: list[Contender] = []
        for more, every in on_top_of(best.proposal, others, self.track.most):
            # What one of them replaces may be what another one changes.
            with suppress(PipeprofError):
                whole.append(Contender(more, version=before.then(every.edits)))
        if group := fitting(self.track, whole):
            self._take(self._race(group))

    def _counts(self, one: TriedChange) -> bool:
        return one.is_kept and self._price(one) is None

    def _price(self, one: TriedChange) -> str | None:
        """What a change that helps costs too much of, in words: memory, or speed where there is memory enough."""
        peak, change = one.result.peak_bytes, one.result.change
        if self._aims_at_memory:
            return None
        if self.limit_bytes is not None and peak is not None and peak > self.limit_bytes:
            return f"needs {size(peak)}, the limit is {size(self.limit_bytes)}"
        if one.is_kept and one.proposal.for_memory and change is not None and min(change.high, change.value) < SLOWER:
            return f"saves memory, and is slower: {ratio_text(change.value)}"
        return None

    def _take(self, tried: Sequence[TriedChange]) -> TriedChange | None:
        """Note what was tried, and take the best of it; None where nothing helps."""
        best = best_of([one for one in tried if self._counts(one)], for_memory=self._aims_at_memory)
        for one in tried:
            if one is best:
                self._note(one, "taken")
            elif self._counts(one):
                # On top of what was taken it may help once more.
                self._note(one, "behind")
                continue
            elif (price := self._price(one)) is not None:
                self._note(one, "rejected", price)
            else:
                self._note(one, _RESULTS.get(one.result.status, "rejected"), one.result.why)
                if one.result.change is not None and one.result.change.high >= 1:
                    self._may_help_later.add(one.proposal.key)
            self._done.add(one.proposal.key)
        if best is None:
            return None
        # The pipeline with the best step has another bottleneck: what brought nothing there may help now.
        self._done -= self._may_help_later
        self._may_help_later.clear()
        saved = best.result.saved_bytes or 0
        faster = not (best.proposal.for_memory or self._aims_at_memory)
        self.for_memory = not faster and saved >= MEMORY_BYTES and (self.for_memory or not self.best.steps)
        self.best = best.contender.on(self.best)
        self._peak = best.result.peak_bytes if best.result.peak_bytes is not None else self._peak
        self.short_of_memory = False
        self.taken(best, self.gain)
        return best

    def _note(self, one: TriedChange, result: Taken, reason: str = "") -> None:
        self.steps.append(SearchStep(one, result, reason))

    def _why_no_more(self) -> str:
        measured = [step for step in self.steps if step.tried.result.change is not None]
        if self.best.steps:
            return "nothing further helps"
        if measured:
            many = f"none of {len(measured)} changes that were measured helps"
            return many if measured[1:] else "the change that was measured does not help"
        bound = self.profile.verdict.bound if self.profile.verdict is not None else None
        return "the step is the limit, not the pipeline" if bound == "step" else "no change fits this pipeline"


_RESULTS: Mapping[str, Taken] = {"refused": "not-tried", "undecided": "unclear", "kept": "behind"}
