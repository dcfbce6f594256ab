"""The searches of `run` and `fix` on a track that is made up, and which of several changes go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from unit.tries import workers
from unit.tries.workers import MB, result

from pipeprof.pipelines.changes.chain import Replay
from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.profiles.advise.proposal import Proposal, Semantics
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.tries.combine import (
    COMBINED,
    Contender,
    TriedChange,
    best_of,
    combined,
    is_better,
    is_worth_a_try,
    on_top_of,
    together,
)
from pipeprof.profiles.tries.race import BaseLostError, RaceResult
from pipeprof.profiles.tries.search import NO_TIME, ManyRaces, OneRace

START = Version()


def change(name: str, stage: str | None = None, **more: Any) -> Proposal:
    return workers.change(name, stage or f"stages.{name}", **more)


def bound(name: str) -> Contender:
    return Contender(Proposal(name, stage=f"stages.{name}"), Replay((f"stages.{name}",), 3, 1.0, 1, 1, 1))


@dataclass
class MadeUpTrack:
    """Races whose results are known: by the titles of changes, alone or joined with a `+`.

    Attributes:
        seconds: That are left; a contender takes ten.
        raced: The titles of each race.
        bases: Number of steps of each race's base.
        error: What each race raises.
    """

    gains: Mapping[str, float | RaceResult] = field(default_factory=dict)
    seconds: float = 1000.0
    most: int = 4
    profile: Profile | None = None
    raced: list[list[str]] = field(default_factory=list)
    bases: list[int] = field(default_factory=list)
    for_memory: list[bool] = field(default_factory=list)
    waiting: list[list[str]] = field(default_factory=list)
    error: Exception | None = None

    def fits(self, contenders: Sequence[Contender]) -> bool:
        return self.seconds >= 10 * len(contenders)

    def race(
        self,
        base: Version,
        contenders: Mapping[str, Contender],
        waiting: Sequence[Contender] = (),
        *,
        for_memory: bool = False,
    ) -> dict[str, RaceResult]:
        self.waiting.append([one.proposal.title for one in waiting])
        names = {name: title_of(one.proposal) for name, one in contenders.items()}
        if self.error is not None:
            raise self.error
        self.raced.append(list(names.values()))
        self.bases.append(len(base.steps))
        self.for_memory.append(for_memory)
        self.seconds -= 10 * len(contenders)
        found = {name: self.gains.get(title, 1.0) for name, title in names.items()}
        return {name: one if isinstance(one, RaceResult) else result(one) for name, one in found.items()}

    def so_far(self) -> Mapping[str, RaceResult]:
        return {}

    def look(self, _version: Version) -> Profile | None:
        return self.profile


def title_of(one: Proposal) -> str:
    return one.change.replace("; ", "+") if one.rule == COMBINED else one.title


def raced_once(track: MadeUpTrack, *ideas: Proposal | Contender, **more: Any) -> OneRace:
    every = [one if isinstance(one, Contender) else Contender(one) for one in ideas]
    search = OneRace(track, START, every, **more)
    search.run()
    return search


def titles(tried: Sequence[Any]) -> list[str]:
    return [one.proposal.title for one in tried]


def test_a_run_races_four_and_then_the_best_together_with_what_is_left() -> None:
    track = MadeUpTrack({"a": 1.5, "b": 1.3, "a+b": 1.9})
    found = raced_once(track, *map(change, "abcdef"))
    assert track.raced == [["a", "b", "c", "d"], ["a+b", "e", "f"]]
    assert track.bases == [0, 0]
    assert track.waiting == [["e"], ["e"]], "a close answer leaves time for what waits, or for what is kept together"
    assert titles(found.single) == ["a", "b"]
    assert [one.proposal.change for one in found.joined] == ["a; b"]
    assert [one.race for one in found.tried] == [1, 1, 1, 1, 2, 2, 2]


def test_a_cache_does_not_come_first_and_is_put_together_with_the_others_apart() -> None:
    track = MadeUpTrack({"a": 1.5, "b": 1.2, "cache": 9.0})
    raced_once(track, CACHE, change("a"), change("b"))
    assert track.raced == [["a", "cache", "b"], ["a+b", "cache+a+b"]]


def test_what_was_not_decided_alone_is_tried_with_what_helps() -> None:
    wide = result(1.05, "undecided")
    track = MadeUpTrack({"a": 1.5, "b": wide, "a+b": 4.0})
    assert [one.proposal.change for one in raced_once(track, *map(change, "abc")).joined] == ["a; b"]
    assert track.raced == [["a", "b", "c"], ["a+b"]]
    track = MadeUpTrack({"b": wide})
    raced_once(track, *map(change, "ab"))
    assert track.raced == [["a", "b"]], "nothing helps"


def test_the_time_ends_it_and_what_had_none_is_known() -> None:
    track = MadeUpTrack({"a": 1.5, "b": 1.5}, seconds=25.0)
    found = raced_once(track, *map(change, "abc"))
    assert (track.raced, titles(found.late)) == ([["a", "b"]], ["c"])


def test_another_way_to_the_same_end_is_not_tried_once_one_helps() -> None:
    track = MadeUpTrack({"a": 1.5}, most=1)
    faster = change("c", "stages.a", predicted=Predicted(formula="", speedup=3.0))
    found = raced_once(track, change("a"), change("b", "stages.a"), faster)
    assert (track.raced, found.late) == ([["a"], ["c"]], [])


def test_an_upper_bound_is_raced_unless_a_change_settles_it() -> None:
    track = MadeUpTrack({"a": 1.5, "x": result(2.0)}, most=2)
    found = raced_once(track, *map(change, "ab"), bound("x"), bound("y"), is_reached=lambda _stages, _kept: True)
    assert (track.raced, found.late) == ([["a", "b"]], [])
    track = MadeUpTrack({"x": result(2.0)})
    assert raced_once(track, change("a"), bound("x")).single == [], "no one can apply it"
    assert track.raced == [["a", "x"]]


def searched(track: MadeUpTrack, profile: Profile, *ideas: Proposal, **more: Any) -> ManyRaces:
    track = replace(track, profile=profile)
    search = ManyRaces(track, START, profile, lambda _profile, _version: ideas, **more)
    search.run()
    return search


def outcomes(search: ManyRaces) -> list[tuple[int, str, str]]:
    return [(step.tried.race, step.tried.proposal.change, step.result) for step in search.steps]


def test_a_fix_takes_the_best_races_the_others_on_top_and_looks_again(profile: Profile) -> None:
    track = MadeUpTrack({"a": 2.0, "b": 1.5, "b;": 1.4})
    search = searched(track, profile, *map(change, "abc"))
    first = [(1, "a", "taken"), (1, "b", "behind"), (1, "c", "rejected")]
    assert outcomes(search)[:5] == [*first, (2, "b", "taken"), (3, "c", "rejected")]
    assert search.best.steps == ((*change("a").edits, *change("b").edits),)
    assert search.gain == pytest.approx(3.0)
    assert search.reason == "nothing further helps"
    assert search.proposal.edits == (*change("a").edits, *change("b").edits)


def test_what_brings_nothing_on_top_is_not_taken(profile: Profile) -> None:
    search = searched(MadeUpTrack({"a": 2.0, "b": 1.5, "c": 1.5, "b+c": 1.0}, most=3), profile, *map(change, "abc"))
    assert (2, "b; c", "rejected") in outcomes(search)
    assert search.chosen[0].proposal.title == "a"


def test_what_brought_nothing_is_tried_again_unless_it_is_surely_slower(profile: Profile) -> None:
    search = searched(MadeUpTrack({"a": 2.0, "b": 1.0, "c": 0.7}), profile, *map(change, "abc"))
    assert [step[1] for step in outcomes(search)] == ["a", "b", "c", "b"]


LOST = MadeUpTrack(error=BaseLostError("writes files"))
UNSEEN = "the changed pipeline could not be measured alone"


@pytest.mark.parametrize(
    ("track", "names", "reason"),
    [
        (MadeUpTrack(), "ab", "none of 2 changes that were measured helps"),
        (MadeUpTrack(), "a", "the change that was measured does not help"),
        (MadeUpTrack({"a": RaceResult("refused", "a.csv")}), "a", "no change fits this pipeline"),
        (MadeUpTrack(), "", "no change fits this pipeline"),
        (MadeUpTrack(seconds=15.0, most=1), "ab", NO_TIME),
        (LOST, "a", "no change can be tried: writes files"),
        (MadeUpTrack({"a": 2.0}), "a", UNSEEN),
    ],
)
def test_why_it_ends(profile: Profile, track: MadeUpTrack, names: str, reason: str) -> None:
    track = replace(track, profile=None if reason == UNSEEN else profile)
    search = ManyRaces(track, START, profile, lambda _profile, _version: [*map(change, names)])
    search.run()
    assert search.reason == reason


def test_what_needs_more_memory_than_the_limit_is_not_taken(profile: Profile) -> None:
    profile.memory.peak_bytes = 900 * MB
    gains: dict[str, Any] = {"a": result(2.0, peak=1200 * MB), "b": 1.2}
    search = searched(MadeUpTrack(gains), profile, change("a"), change("b"), limit_bytes=1000 * MB)
    assert outcomes(search)[:2] == [(1, "a", "rejected"), (1, "b", "taken")]
    assert "limit" in search.steps[0].reason


def test_memory_is_not_bought_with_speed_where_there_is_enough(profile: Profile) -> None:
    profile.memory.peak_bytes = 900 * MB
    slower = result(0.8, "kept", peak=700 * MB, saved=200 * MB)
    search = searched(MadeUpTrack({"a": slower}), profile, replace(change("a"), family="memory"))
    assert outcomes(search)[:1] == [(1, "a", "rejected")]
    assert "slower" in search.steps[0].reason


def test_over_its_limit_a_pipeline_has_to_save_memory_first(profile: Profile) -> None:
    profile.memory.peak_bytes = 1300 * MB
    enough = result(1.0, "kept", peak=900 * MB, saved=400 * MB)
    little = result(0.9, "kept", peak=1200 * MB, saved=90 * MB)
    track = MadeUpTrack({"a": enough, "b": little})
    search = searched(track, profile, change("a"), change("b"), limit_bytes=1000 * MB)
    assert track.for_memory[:2] == [True, False]
    assert search.chosen[0].proposal.title == "a"
    assert search.for_memory


def calls(stage: str = "stages.0", number: int = 8, **more: object) -> Proposal:
    return workers.change(f"calls {stage} {number}", stage, number, in_spec=True, **more)


def prefetch(semantics: Semantics = "same") -> Proposal:
    return Proposal("prefetch", "prefetch", (InsertStage("prefetch", {"buffer_size": -1}, "stages.2"),), semantics)


CACHE = Proposal("cache", "cache", (InsertStage("cache", {}, "stages.1"),))


def kept(proposal: Proposal, gain: float = 1.5, **more: object) -> TriedChange:
    return TriedChange(Contender(proposal), result(gain, "kept", **more), 1)  # type: ignore[arg-type]


def test_several_changes_are_one() -> None:
    whole = together([calls(), prefetch("order")])
    assert whole.edits == (*calls().edits, *prefetch().edits)
    assert (whole.semantics, whole.in_spec, whole.change) == ("order", False, "calls stages.0 8; prefetch")


def test_of_two_ways_to_the_same_end_the_faster_one_is_made_with_the_others() -> None:
    ((whole, parts),) = combined([kept(calls(number=4), 1.3), kept(calls(number=8)), kept(prefetch(), 1.2)])
    assert [one.proposal.title for one in parts] == ["calls stages.0 8", "prefetch"]
    assert whole.edits == (*calls(number=8).edits, *prefetch().edits)
    assert list(combined([kept(calls(number=4)), kept(calls(number=8))])) == []


def test_on_top_of_what_was_taken_all_others_come_first() -> None:
    found = on_top_of(calls(), [prefetch(), calls("stages.1"), calls(number=2)], 4)
    assert [len(more.edits) for more, _ in found] == [2, 1, 1]
    assert all(every.edits == (*calls().edits, *more.edits) for more, every in found)
    assert len(on_top_of(calls(), [prefetch(), calls("stages.1")], 2)) == 2


def test_of_what_was_kept_the_best_is_taken() -> None:
    two, by_values = together([calls(), prefetch()]), calls(semantics="values")
    for changes, best in (
        # Of those that are about as fast, the simplest, and the one that changes less of the data.
        ([(two, 1.52), (calls(), 1.5)], calls()),
        ([(two, 1.6), (calls(), 1.5)], two),
        ([(by_values, 1.52), (two, 1.5)], two),
        # A cache is taken where nothing else is faster.
        ([(CACHE, 9.0), (calls(), 1.2)], calls()),
        ([(CACHE, 9.0)], CACHE),
    ):
        assert best_of([kept(*one) for one in changes]).proposal == best
    assert best_of([]) is None
    saving = [kept(calls(), 2.0, saved=MB), kept(prefetch(), 1.0, saved=90 * MB)]
    assert best_of(saving, for_memory=True).proposal == prefetch()


def test_several_together_are_better_than_each_alone_for_certain_or_not_at_all() -> None:
    assert is_better(result(2.0), [result(1.5), result(1.2)])
    assert not is_better(result(1.52), [result(1.5), result(1.2)])
    assert not is_better(result(2.0, error=0.2), [result(1.5)])
    assert is_better(result(1.5, saved=90 * MB), [result(1.5, saved=30 * MB)])
    assert not is_better(result(1.2, saved=90 * MB), [result(1.5, saved=30 * MB)])


def test_another_way_to_the_same_end_is_tried_where_it_promises_clearly_more() -> None:
    known = [kept(calls(number=4), 1.5)]
    assert is_worth_a_try(prefetch(), known)
    assert not is_worth_a_try(calls(number=8), known)
    assert not is_worth_a_try(calls(number=8, predicted=Predicted(formula="", speedup=1.7)), known)
    assert is_worth_a_try(calls(number=8, predicted=Predicted(formula="", speedup=1.9)), known)
