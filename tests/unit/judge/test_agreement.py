"""One change has one verdict: recorded blocks of six changes, decided as a race and as `compare` decide."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from statistics import geometric_mean
from typing import Any, cast

import pytest
from unit.tries.workers import JOB, PACE, Workers

from pipeprof.profiles.judge.metrics import rows_of
from pipeprof.profiles.judge.result import PairValues
from pipeprof.profiles.protocol.turns import TurnEnded, TurnRequest
from pipeprof.profiles.tries.race import Entrant, Race

RECORDED = json.loads((Path(__file__).parents[2] / "recorded" / "blocks.json").read_text())
PAIRS: list[dict[str, list[float]]] = RECORDED["pairs"]
CHANGES: dict[str, str] = RECORDED["changes"]
CLEAR = {"two calls", "four calls"}
WORDS = {"faster": "faster", "slower": "no gain", "no difference": "no gain", "cannot tell": "cannot tell"}
RACED = {"kept": "faster", "no gain": "no gain", "undecided": "cannot tell"}


def of_compare(letter: str) -> str:
    names = {"a": "A", "b": letter, "again": "A′"}
    pairs = [
        PairValues(order=[], **{side: {"step_ms": 1e3 * geometric_mean(pair[name])} for side, name in names.items()})
        for pair in PAIRS
    ]
    (row,) = rows_of(pairs)
    return "no gain" if row.rules_out == "faster" else WORDS[row.words]


def played(side: str, first: int) -> Iterator[float]:
    return cycle(one for pair in [*PAIRS[first:], *PAIRS[:first]] for one in pair[side])


class Player(Workers):
    """Workers that give the recorded blocks, one after another; a second process has those of the second start on."""

    def __init__(self, letters: Mapping[str, str]) -> None:
        super().__init__({})
        sides = {"A1": "A", "A2": "A′", **letters}
        self._blocks = {name: played(side, 0) for name, side in sides.items()}
        self._blocks |= {f"{name}+": played(side, 1) for name, side in letters.items()}

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        assert seconds > 0
        return TurnEnded(1000, 1000 * next(self._blocks[name]) if request.kind == "block" else 0.01, None, 0.0, 1 << 30)


@pytest.mark.parametrize("together", [True, False])
def test_no_command_contradicts_another_wherever_it_stops(together: bool) -> None:
    assert {*CLEAR, "slower"} <= set(CHANGES.values()), "those of which more is required below"
    groups = [list(CHANGES)] if together else [[letter] for letter in CHANGES]
    found = {}
    for group in groups:
        letters = {f"C{number}": letter for number, letter in enumerate(group)}
        running = Race(cast("Any", Player(letters)), PACE, timeout=60.0, left=lambda: 1e9, cores=None)
        raced = running.run(lambda: {"A1": JOB, "A2": JOB}, dict.fromkeys(letters, Entrant(JOB, "same")))
        found.update({letters[name]: RACED[one.status] for name, one in raced.items()})
    for letter, name in CHANGES.items():
        verdicts = {found[letter], of_compare(letter)}
        assert not {"faster", "no gain"} <= verdicts
        # What is slower so far leaves a race before that is certain.
        assert name not in CLEAR or verdicts == {"faster"}
        assert name != "slower" or "faster" not in verdicts
