"""The one rule for when a gain of speed is called measured: how often it is wrong, and how soon it answers.

Made-up blocks vary by 5 % and starts of processes by 1.5 % (standard deviations), as `run` measures them: two processes
of each side, a round is two pairs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from pipeprof.profiles.experiment.evidence import BASELINES, EDITED, Evidence
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.statistics import ERROR
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded
from pipeprof.profiles.verify.judge_edit import judge

BLOCKS, STARTS = 0.05, 0.015
BUILT = Built([BatchDigest("data", ["row"], "int64")], False, 400 << 20, 0.1, 0.1)


def decided(gain: float, draw: random.Random) -> tuple[str, int]:
    """What one trial ends with, and after how many rounds."""
    names = (*BASELINES, *EDITED)
    start = {name: draw.gauss(math.log(gain) if name in EDITED else 0.0, STARTS) for name in names}
    rounds: list[dict[str, TurnEnded]] = []
    before = 0
    while True:
        rates = {name: math.exp(start[name] + draw.gauss(0, BLOCKS)) for name in names}
        rounds.append({name: TurnEnded(1000, 1000 / rate, None, 0.0, 1 << 30) for name, rate in rates.items()})
        found = judge(Evidence(dict.fromkeys(names, BUILT), rounds), "same", for_memory=False, before=before)
        if found.settled:
            return found.status, len(rounds)
        before = 2 * len(rounds)


def trials(gain: float, count: int) -> Iterator[tuple[str, int]]:
    draw = random.Random(f"{gain}")
    for _ in range(count):
        yield decided(gain, draw)


def test_the_looks_share_one_error() -> None:
    assert sum(QUICK.errors) == pytest.approx(ERROR)
    assert len(QUICK.errors) == len(QUICK.looks)


def test_equal_pipelines_are_called_faster_in_one_of_two_hundred_trials_at_most() -> None:
    assert sum(status == "kept" for status, _ in trials(1.0, 2000)) <= 10


def test_a_gain_of_a_half_is_known_after_four_rounds_or_six() -> None:
    found = list(trials(1.5, 400))
    assert {status for status, _ in found} == {"kept"}
    assert sum(rounds <= 4 for _, rounds in found) >= 320
    assert sum(rounds <= 6 for _, rounds in found) >= 396
