"""A drift over several gates: what joins them, what counts, and how often it is wrong."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from unit.history.gates import HOST, OTHER, chain, entry, pairs, state

from pipeprof.profiles.history.creep import WINDOW, drifts, has_only_others, link_of
from pipeprof.profiles.history.entry import KeptGate
from pipeprof.profiles.judge.verdicts.result import Drift
from pipeprof.profiles.judge.verdicts.tabulate import BY_DEFAULT, Judged

FOLDER = str(Path(__file__).parents[3] / "benchmarks" / "history")


@pytest.fixture(scope="module")
def simulate() -> Iterator[ModuleType]:
    sys.path.insert(0, FOLDER)
    try:
        yield importlib.import_module("simulate")
    finally:
        sys.path.remove(FOLDER)
        sys.modules.pop("simulate", None)


def judged(entries: list[KeptGate], factor: float = 1.02, one: int | None = None) -> dict[str, Drift]:
    """What the next gate says, which begins with the last pipeline."""
    a = len(entries) if one is None else one
    now = link_of(state(a).digest, state(99).digest, pairs(factor), BY_DEFAULT)
    assert now is not None
    return {found.metric: found for found in drifts(now, (state(a), state(99)), entries, HOST, BY_DEFAULT)}


def test_small_changes_add_up() -> None:
    found = judged(chain([1.02] * 5))["step_ms"]
    assert found.verdict == "regressed"
    assert (found.gates, found.since) == (6, "0" * 40)
    assert found.change == pytest.approx(1.02**6, rel=0.01)


def test_what_does_not_add_up_is_no_drift() -> None:
    found = judged(chain([1.02, 1 / 1.02, 1.02, 1 / 1.02]), 1.0)
    assert {one.verdict for one in found.values()} <= {"cannot tell", "not regressed"}


def test_the_side_that_was_given_is_not_judged_twice() -> None:
    assert judged([], 1.2) == {}
    found = judged(chain([1.2]), 1.2, one=0)
    assert {one.since for one in found.values()} == {state(1).commit}


def test_a_gain_in_between_counts() -> None:
    """The best of the earlier pipelines is the one after the gain."""
    found = judged(chain([0.8, 1.02, 1.02, 1.02]))["step_ms"]
    assert (found.verdict, found.since) == ("regressed", "1" * 40)


def test_a_chain_leads_over_what_both_were_compared_with() -> None:
    entries = [entry(0, number, 1.0) for number in (1, 2)]
    found = judged(entries, 1.1, one=0)["step_ms"]
    assert (found.verdict, found.gates) == ("regressed", 2)


def test_without_a_chain_nothing_is_judged() -> None:
    assert judged(chain([1.05] * 3), one=50) == {}


def test_two_texts_of_one_pipeline_are_a_link() -> None:
    same = entry(4, 60, pairs=[], same=True)
    found = judged([*chain([1.02] * 4), same], one=60)["step_ms"]
    assert (found.verdict, found.gates) == ("regressed", 5)


def test_what_a_gate_failed_is_no_anchor() -> None:
    """It was twice as fast, by more memory: nobody has taken it."""
    rejected = entry(0, 70, 0.5, verdict="regressed")
    found = judged([rejected, *chain([1.0])], one=1)["step_ms"]
    assert found.verdict != "regressed"
    taken = judged([rejected, entry(70, 1, 1.0)], one=1)["step_ms"]
    assert taken.since == state(70).commit


def test_other_hosts_are_no_links() -> None:
    entries = chain([1.05] * 4, host=OTHER)
    assert judged(entries) == {}
    assert has_only_others(entries, HOST)
    assert not has_only_others([*entries, entry(8, 9)], HOST)
    assert not has_only_others([], HOST)


def test_a_metric_that_a_gate_lacks_is_not_judged() -> None:
    entries = chain([1.02] * 5)
    for pair in entries[2].pairs:
        for side in (pair.a, pair.b, pair.again or {}):
            side.pop("peak_bytes")
    assert set(judged(entries)) == {"step_ms", "peak_bytes"}
    assert judged(entries)["peak_bytes"].gates < 4


def test_one_pair_says_nothing() -> None:
    assert link_of("a", "b", pairs(1.5, count=1), BY_DEFAULT) is None
    assert link_of("a", "b", [], BY_DEFAULT) is None


def test_what_is_off_is_no_drift() -> None:
    wanted = {**BY_DEFAULT, "step_ms": Judged(level="off")}
    now = link_of(state(5).digest, state(99).digest, pairs(1.2), wanted)
    assert now is not None
    assert set(now.changes) == {"peak_bytes"}


def test_only_the_latest_gates_are_looked_at() -> None:
    entries = chain([1.1] + [1.0] * WINDOW)
    assert judged(entries, 1.0)["step_ms"].verdict != "regressed"


def test_a_creep_is_found_in_simulated_series(simulate: ModuleType) -> None:
    """The benchmark draws more: benchmarks/history."""
    assert simulate.share_found(simulate.CREEP, 20) >= 0.95


@pytest.mark.parametrize(
    "name", ["twenty commits without a change, noise 5 %", "3 % in one commit, then nineteen without a change"]
)
def test_chance_is_no_creep_in_simulated_series(name: str, simulate: ModuleType) -> None:
    assert simulate.share_found(simulate.QUIET[name], 5) == 0.0
