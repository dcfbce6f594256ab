"""The search for the changes that matter, on sessions that are made up: planted effects and what is named."""

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeprof.profiles.judge.explain import account
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
from pipeprof.profiles.judge.why.effects import Observation, Unit, units_of
from pipeprof.profiles.judge.why.search import CauseSearch, Piece

STEP = BY_NAME["step_ms"]
ROUNDS = 5
Effect = Callable[[frozenset[int]], float]


class Machine:
    """Rounds of processes whose values have a known effect and a spread."""

    def __init__(self, effect: Effect, spread: float, seed: int, failing: frozenset[int] = frozenset(), most=99):
        self.asked: list[frozenset[int]] = []
        self._effect = effect
        self._spread = spread
        self._random = random.Random(seed)
        self._failing = failing
        self._most = most

    def measure(self, subsets: Sequence[frozenset[int]]) -> list[Observation]:
        self._most -= 1
        if self._most < 0:
            return []
        self.asked += subsets
        return [self._round([one for one in subsets if not one & self._failing or len(one) > 3]) for _ in range(ROUNDS)]

    def _round(self, subsets: Sequence[frozenset[int]]) -> Observation:
        one, other = (self._random.gauss(0.0, self._spread) for _ in range(2))
        effects = {
            subset: self._effect(subset) + self._random.gauss(0.0, self._spread) - (one + other) / 2
            for subset in subsets
        }
        return Observation(effects, other - one)


def explained(machine: Machine, count: int, rest: frozenset[int] = frozenset()):
    search = CauseSearch(STEP, machine.measure)
    pieces = search.run(count, rest)
    names = {number: [f"change {number}"] for number in range(count)}
    return pieces, *account(STEP, search.observations, pieces, names, {})


def additive(*effects: float) -> Effect:
    return lambda chosen: sum(effects[unit] for unit in chosen)


def interacting(members: set[int], size: float, *effects: float) -> Effect:
    return lambda chosen: sum(effects[unit] for unit in chosen) + (size if members <= chosen else 0.0)


def named(causes) -> dict[str, str]:
    return {" + ".join(cause.changes): cause.words for cause in causes}


def test_one_slow_change_of_four_is_named():
    pieces, causes, explanation = explained(Machine(additive(0.0, 0.4, 0.0, 0.0), 0.004, 1), 4)
    assert len(pieces) == 4
    assert causes[0].changes == ["change 1"]
    assert causes[0].words == "slower"
    assert causes[0].low < 1.4918 < causes[0].high
    assert causes[0].share == pytest.approx(1.0, abs=0.03)
    assert {cause.words for cause in causes[1:]} == {"no difference"}
    assert explanation.words == "slower"
    assert explanation.rest_words == "no difference"


@pytest.mark.parametrize("count", [2, 3, 4, 6])
@pytest.mark.parametrize("size", [0.5, -0.5])
def test_an_interaction_of_two_is_one_cause(count, size):
    members = {0, count - 1}
    machine = Machine(interacting(members, size, *[0.0] * count), 0.004, count)
    pieces, causes, explanation = explained(machine, count)
    assert Piece(frozenset(members), "together") in pieces
    assert causes[0].changes == ["change 0", f"change {count - 1}"]
    assert causes[0].words == ("slower" if size > 0 else "faster")
    assert causes[0].alone == pytest.approx([1.0, 1.0], abs=0.02)
    assert all(cause.words == "no difference" for cause in causes[1:])
    assert count == 2 or explanation.rest_words == "no difference"


def test_changes_of_which_either_is_enough_are_one_cause():
    machine = Machine(lambda chosen: 0.4 if chosen & {1, 2} else 0.0, 0.004, 3)
    _, causes, _ = explained(machine, 4)
    assert causes[0].changes == ["change 1", "change 2"]
    assert causes[0].alone == pytest.approx([1.49, 1.49], abs=0.03)


def test_three_that_act_only_together_are_one_cause():
    _, causes, _ = explained(Machine(interacting({0, 2, 3}, 0.6, *[0.0] * 5), 0.004, 4), 5)
    assert causes[0].changes == ["change 0", "change 2", "change 3"]
    assert causes[0].words == "slower"


def test_two_interactions_are_two_causes():
    first, second = frozenset({0, 1}), frozenset({3, 4})
    machine = Machine(lambda chosen: 0.5 * (first <= chosen) + 0.3 * (second <= chosen), 0.003, 5)
    pieces, causes, _ = explained(machine, 6)
    assert {piece.units for piece in pieces if piece.kind == "together"} == {first, second}
    assert [cause.words for cause in causes[:2]] == ["slower", "slower"]


def test_many_changes_are_halved_and_those_without_effect_stay_together():
    machine = Machine(additive(*[0.0] * 5, 0.5, *[0.0] * 10), 0.004, 6)
    pieces, causes, _ = explained(machine, 16)
    assert Piece(frozenset({5})) in pieces
    assert causes[0].changes == ["change 5"]
    assert len(causes) == 5
    assert {cause.words for cause in causes[1:]} == {"no difference"}
    # Each change alone would be 17 versions.
    assert len(set(machine.asked)) < 12


def test_an_interaction_across_halves_is_found():
    machine = Machine(interacting({2, 9}, 0.5, *[0.0] * 12), 0.004, 7)
    pieces, causes, _ = explained(machine, 12)
    assert Piece(frozenset({2, 9}), "together") in pieces
    assert causes[0].words == "slower"


def test_a_change_that_cannot_be_made_alone_has_what_the_others_leave():
    machine = Machine(additive(0.0, 0.2, 0.3, 0.0), 0.003, 8, failing=frozenset({2}))
    pieces, causes, _ = explained(machine, 4)
    assert pieces[-1] == Piece(frozenset({2}), "rest")
    assert causes[0].changes == ["change 2"]
    assert causes[0].change == pytest.approx(1.35, abs=0.03)


def test_the_rest_is_what_all_that_can_be_made_leave():
    machine = Machine(additive(0.0, 0.2, 0.3), 0.003, 9)
    pieces, causes, _ = explained(machine, 3, rest=frozenset({2}))
    assert frozenset({2}) not in machine.asked
    assert pieces[-1] == Piece(frozenset({2}), "rest")
    assert causes[0].change == pytest.approx(1.35, abs=0.03)
    only, (cause,), _ = explained(Machine(additive(0.2), 0.003, 9), 1, rest=frozenset({0}))
    assert only == [Piece(frozenset({0}), "rest")]
    assert cause.change == pytest.approx(1.22, abs=0.03)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_search_that_runs_out_of_time_names_only_what_it_has_measured(most):
    machine = Machine(interacting({2, 9}, 0.5, *[0.0] * 12), 0.004, 10, most=most)
    pieces, causes, explanation = explained(machine, 12)
    assert frozenset().union(*(piece.units for piece in pieces)) == frozenset(range(12))
    assert sum(len(piece.units) for piece in pieces) == 12
    assert {cause.words for cause in causes if not cause.pairs} <= {"cannot tell"}
    assert (explanation.rounds == 0) == (most == 0)


def test_a_machine_that_differs_from_itself_names_nothing():
    machine = Machine(additive(0.4, 0.0), 0.001, 11)
    rounds = [
        Observation(one.effects, 0.2) for one in machine.measure([frozenset({0}), frozenset({1}), frozenset({0, 1})])
    ]
    search = CauseSearch(STEP, lambda _: rounds)
    causes, explanation = account(STEP, rounds, search.run(2), {0: ["x"], 1: ["y"]}, {})
    assert {cause.words for cause in causes} == {"cannot tell"}
    assert explanation.disturbed


def wrong(causes, truth: Effect, members: set[int]) -> bool:
    """Whether a report names something that is not so."""
    for cause in causes:
        units = frozenset(int(text.removeprefix("change ")) for text in cause.changes)
        effect = truth(units)
        if cause.kind == "together" and units != frozenset(members):
            return True
        if cause.words == "slower" and effect < 0.01:
            return True
        if cause.words == "faster" and effect > -0.01:
            return True
        if cause.words == "no difference" and abs(effect) > 0.05:
            return True
    return False


CASES = {
    "none": (additive(*[0.0] * 4), set()),
    "additive": (additive(0.15, 0.0, -0.1, 0.0), set()),
    "interaction": (interacting({1, 3}, 0.4, *[0.0] * 4), {1, 3}),
    "interaction and more": (interacting({0, 2}, 0.4, 0.0, 0.15, 0.0, 0.0), {0, 2}),
}


@pytest.mark.parametrize("spread", [0.005, 0.02])
@pytest.mark.parametrize("case", CASES)
def test_wrong_attributions_are_rare(case, spread):
    truth, members = CASES[case]
    sessions = 150
    found = [explained(Machine(truth, spread, seed), 4)[1] for seed in range(sessions)]
    assert sum(wrong(causes, truth, members) for causes in found) <= 0.02 * sessions
    if spread == 0.005 and members:
        right = " + ".join(f"change {one}" for one in sorted(members))
        assert sum(named(causes).get(right) == "slower" for causes in found) > 0.95 * sessions


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 14), st.randoms(use_true_random=False))
def test_the_pieces_are_all_of_the_difference(count, draw):
    effects = [draw.choice([0.0, 0.0, 0.3, -0.2]) for _ in range(count)]
    members = set(draw.sample(range(count), min(2, count)))
    machine = Machine(interacting(members, draw.choice([0.0, 0.5]), *effects), 0.01, draw.randrange(1 << 30))
    pieces, causes, _ = explained(machine, count)
    assert sorted(unit for piece in pieces for unit in piece.units) == list(range(count))
    assert len(causes) == len(pieces)
    assert all(subset <= frozenset(range(count)) and subset for subset in machine.asked)


@given(st.integers(1, 8), st.randoms(use_true_random=False))
def test_units_are_possible_alone_or_all_together(count, draw):
    needs = {one: {draw.randrange(count)} for one in range(count) if draw.random() < 0.4}

    def problem(chosen: frozenset[int]) -> str | None:
        lacking = [one for one in chosen if not needs.get(one, set()) <= chosen]
        return f"{lacking[0]} needs another" if lacking and len(chosen) < count else None

    units = units_of(count, problem)
    assert sorted(one for unit in units for one in unit.members) == list(range(count))
    assert all(problem(unit.members) is None for unit in units)


def test_a_change_that_needs_two_others_joins_both():
    def problem(chosen: frozenset[int]) -> str | None:
        return "3 needs 0 and 1" if 3 in chosen and not {0, 1} <= chosen else None

    assert units_of(5, problem) == [
        Unit(frozenset({0, 1, 3}), "3 needs 0 and 1"),
        Unit(frozenset({2})),
        Unit(frozenset({4})),
    ]
