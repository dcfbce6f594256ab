"""Which changes go together, and which of several is taken."""

from __future__ import annotations

from unit.tries.workers import MB, change, result

from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.profiles.advise.proposal import Proposal, Semantics
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.tries.combine import (
    Contender,
    TriedChange,
    best_of,
    combined,
    is_better,
    is_worth_a_try,
    on_top_of,
    together,
)


def calls(stage: str = "stages.0", number: int = 8, **more: object) -> Proposal:
    return change(f"calls {stage} {number}", stage, number, in_spec=True, **more)


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


def test_of_changes_that_are_about_as_fast_the_simplest_is_taken() -> None:
    two = together([calls(), prefetch()])
    assert best_of([kept(two, 1.52), kept(calls(), 1.5)]) == kept(calls(), 1.5)
    assert best_of([kept(two, 1.6), kept(calls(), 1.5)]) == kept(two, 1.6)
    assert best_of([]) is None


def test_of_changes_that_are_about_as_fast_the_one_that_changes_less_of_the_data_is_taken() -> None:
    two = together([calls(), prefetch()])
    assert best_of([kept(calls(semantics="values"), 1.52), kept(two, 1.5)]) == kept(two, 1.5)


def test_a_cache_is_taken_where_nothing_else_is_faster() -> None:
    assert best_of([kept(CACHE, 9.0), kept(calls(), 1.2)]) == kept(calls(), 1.2)
    assert best_of([kept(CACHE, 9.0)]) == kept(CACHE, 9.0)


def test_where_memory_is_the_aim_what_saves_most_is_taken() -> None:
    every = [kept(calls(), 2.0, saved=MB), kept(prefetch(), 1.0, saved=90 * MB)]
    best = best_of(every, for_memory=True)
    assert best.proposal == prefetch()


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
