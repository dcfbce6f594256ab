"""One change has one verdict: recorded blocks of six changes, decided as `run`, `fix` and `compare` decide."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from statistics import geometric_mean
from typing import Any, cast

import pytest

from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.fix.race import Raced, Races, Rival
from pipeprof.profiles.fix.search import Aim, decide_all
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.judge.verdicts.result import PairValues
from pipeprof.profiles.judge.verdicts.tabulate import rows_of
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded, TurnRequest
from pipeprof.profiles.tries.plan import Pace
from pipeprof.profiles.verify.judge_edit import judge
from pipeprof.profiles.verify.trials import Trials

RECORDED = json.loads((Path(__file__).parents[2] / "recorded" / "blocks.json").read_text())
PAIRS: list[dict[str, list[float]]] = RECORDED["pairs"]
CHANGES: dict[str, str] = RECORDED["changes"]
CLEAR = {"two calls": "faster", "four calls": "faster", "slower": "no gain"}
BUILT = Built([BatchDigest("data", ["row"], "int64")], False, 400 << 20, 0.1, 0.1)
WORDS = {"faster": "faster", "slower": "no gain", "no difference": "no gain", "cannot tell": "cannot tell"}
RUN = {"kept": "faster", "rejected": "no gain", "unverified": "cannot tell"}
FIX = {"faster": "faster", "no-gain": "no gain", "unclear": "cannot tell"}


def block(seconds: float) -> TurnEnded:
    """A block of a thousand steps, each of so many seconds."""
    return TurnEnded(1000, 1000 * seconds, None, 0.0, 1 << 30)


def evidence(letter: str) -> Evidence:
    """All recorded blocks of a change, with those of the pipeline as it is."""
    names = {"A1": "A", "B1": letter, "A2": "A′"}
    blocks = [zip(*(map(block, pair[side]) for side in names.values()), strict=True) for pair in PAIRS]
    rounds = [dict(zip(names, each, strict=True)) for pair in blocks for each in pair]
    return Evidence(dict.fromkeys(names, BUILT), rounds, arm=("B1",))


def of_compare(letter: str) -> str:
    names = {"a": "A", "b": letter, "again": "A′"}
    pairs = [
        PairValues(order=[], **{side: {"step_ms": 1e3 * geometric_mean(pair[name])} for side, name in names.items()})
        for pair in PAIRS
    ]
    (row,) = rows_of(pairs)
    return "no gain" if row.rules_out == "faster" else WORDS[row.words]


def of_run(letter: str) -> str:
    return RUN[judge(evidence(letter), "same", for_memory=False, last=True).status]


def of_fix(letter: str) -> str:
    raced = {"it": Raced(compared=evidence(letter).comparison())}
    return FIX[decide_all(raced, {"it": Proposal("it", "", ())}, Aim())["it"].kind]


@pytest.mark.parametrize("letter", CHANGES, ids=CHANGES.get)
def test_the_same_blocks_have_the_same_verdict_in_three_commands(letter: str) -> None:
    found = {of_run(letter), of_fix(letter), of_compare(letter)}
    assert len(found) == 1
    if (expected := CLEAR.get(CHANGES[letter])) is not None:
        assert found == {expected}


def test_some_of_the_changes_are_near_the_floor() -> None:
    compared = {name: evidence(letter).comparison() for letter, name in CHANGES.items()}
    near = [one for name, one in compared.items() if name not in CLEAR and one is not None]
    assert len(near) == 3
    assert all(abs(one.change.mean) < math.log(1.06) for one in near)


class Player:
    """Workers that give the recorded blocks, one after another."""

    def __init__(self, letter: str) -> None:
        second = [*PAIRS[1:], PAIRS[0]]
        self._blocks: Mapping[str, Iterator[float]] = {
            "A1": cycle(one for pair in PAIRS for one in pair["A"]),
            "A2": cycle(one for pair in PAIRS for one in pair["A′"]),
            "B1": cycle(one for pair in PAIRS for one in pair[letter]),
            "B2": cycle(one for pair in second for one in pair[letter]),
        }

    def start(self, jobs: Mapping[str, Any], *, seconds: float) -> dict[str, Built]:
        assert seconds > 0
        return dict.fromkeys(jobs, BUILT)

    start_each = start

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        assert seconds > 0
        return block(next(self._blocks[name]) if request.kind == "block" else 0.01)

    def end(self, *names: str) -> None: ...


PACE = Pace(TurnRequest("block", 0.35, 8, 0.05), TurnRequest("warm", 2.4), 6.0, 1.2, 1.6, step_seconds=0.03)
JOBS = cast("Any", dict.fromkeys(("A1", "A2"), None))


@pytest.mark.parametrize("letter", CHANGES, ids=CHANGES.get)
def test_no_command_contradicts_another_wherever_it_stops(letter: str) -> None:
    """As each of them looks at the blocks, and until it has seen enough."""
    trials = Trials(
        cast("Any", Player(letter)),
        PACE,
        lambda: JOBS,
        until=1e9,
        timeout=60.0,
        progress=Silent(),
        clock=lambda: 0.0,
        cores=None,
    )
    edited = cast("Any", dict.fromkeys(("B1", "B2"), None))
    run = RUN[trials.measure(edited, "same", for_memory=False).status]
    races = Races(cast("Any", Player(letter)), PACE, timeout=60.0, left=lambda: 60.0, tick=lambda *_: None)
    raced = races.run(lambda: JOBS, {"B1": Rival(cast("Any", None), "same")})
    fix = FIX[decide_all(raced, {"B1": Proposal("it", "", ())}, Aim())["B1"].kind]
    found = {run, fix, of_compare(letter)}
    assert not {"faster", "no gain"} <= found
    if (expected := CLEAR.get(CHANGES[letter])) is not None:
        assert found == {expected}
