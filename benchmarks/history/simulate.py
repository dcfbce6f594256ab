"""Series of gates without a machine: pipelines that get slower step by step, and what each gate says of them.

A pair is drawn as a gate measures one: three processes that share what the machine does in that pair, each with a noise
of its own. The gate looks where it looks at measured pairs, by the same functions, and keeps its entry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from pipeprof.profiles.document.subject import Host, Tool
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.history.creep import drifts, link_of
from pipeprof.profiles.history.entry import KeptGate, State, entry_of, host_class
from pipeprof.profiles.judge.verdicts.gating import conclude_gate, has_seen_enough, looks_within
from pipeprof.profiles.judge.verdicts.result import Drift, Identity, PairValues, Result, Side
from pipeprof.profiles.judge.verdicts.tabulate import BY_DEFAULT, rows_of

HOST = Host(system="Linux", machine="x86_64", cpu_model="one", cores=2.0, memory_bytes=8 << 30)
TARGET = Identity(file="spec.yaml", digest="0" * 64)


@dataclass(frozen=True)
class Kind:
    """What a series is like.

    Attributes:
        steps: What each commit multiplies the step interval by.
        noise: Standard deviation of a process, as a share.
        machine: That of what all processes of a pair have in common.
        memory: What each commit multiplies the peak memory by.
    """

    steps: Sequence[float]
    noise: float = 0.02
    machine: float = 0.1
    memory: Sequence[float] = ()


@dataclass(frozen=True)
class Found:
    """The first gate of a series, from 0, that calls a drift, with what it says; None where none does."""

    gate: int | None
    drift: Drift | None
    pairs: int


def run(kind: Kind, seed: int) -> Found:
    """Let the gates of a series judge, until one calls a drift."""
    chance = Random(seed)  # noqa: S311 - a simulation, not a secret
    entries: list[KeptGate] = []
    steps, memory, pairs = 1.0, 1.0, 0
    for number, factor in enumerate(kind.steps):
        more = kind.memory[number] if kind.memory else 1.0
        before, after = (steps, memory), (steps * factor, memory * more)
        result = _gate(chance, kind, before, after, number)
        pairs += len(result.pairs)
        states = (
            State(text="git:HEAD~1", commit=_commit(number), digest=_commit(number)),
            State(text="spec.yaml", commit=_commit(number + 1), digest=_commit(number + 1)),
        )
        now = link_of(states[0].digest, states[1].digest, result.pairs, BY_DEFAULT)
        assert now is not None
        found = drifts(now, states, entries, host_class(HOST), BY_DEFAULT)
        failing = next((one for one in found if one.verdict == "regressed"), None)
        if failing is not None:
            return Found(number, failing, pairs)
        # The commit is merged also where the gate cannot tell, and where it fails: this is about the drift.
        entries.append(entry_of(replace_verdict(result), TARGET, states, None, BY_DEFAULT))
        steps, memory = after
    return Found(None, None, pairs)


def replace_verdict(result: Result) -> Result:
    """A result that was taken all the same."""
    return result.model_copy(update={"verdict": "cannot tell" if result.verdict == "regressed" else result.verdict})


def share_found(kind: Kind, series: int, seed: int = 0) -> float:
    """The share of series in which a drift is called."""
    return sum(run(kind, seed * 1_000_003 + number).gate is not None for number in range(series)) / series


def _gate(chance: Random, kind: Kind, a: tuple[float, float], b: tuple[float, float], number: int) -> Result:
    result = Result(
        kind="gate",
        tool=Tool(version="0"),
        started=f"2026-01-01T00:{number:02}:00+00:00",
        a=Side(text="a", host=HOST),
        b=Side(text="b", host=HOST),
    )
    while not result.pairs or not has_seen_enough(result, GATE.most):
        now = math.exp(chance.gauss(0.0, kind.machine))
        one, other, again = (_process(chance, kind, side, now) for side in (a, b, a))
        result.pairs.append(PairValues(order=[], a=one, b=other, again=again))
        # As a gate does; between its looks nothing depends on the rows.
        if len(result.pairs) in looks_within(GATE.most):
            result.metrics = rows_of(result.pairs)
    conclude_gate(result)
    return result


def _process(chance: Random, kind: Kind, side: tuple[float, float], now: float) -> dict[str, float]:
    return {
        "step_ms": 10.0 * side[0] * now * math.exp(chance.gauss(0.0, kind.noise)),
        "peak_bytes": 1e9 * side[1] * math.exp(chance.gauss(0.0, kind.noise / 5)),
    }


def _commit(number: int) -> str:
    return f"{number:040x}"


CREEP = Kind((1.03,) * 8)
"""Eight commits, each of them within the floor of a gate."""
FOUND = {
    "eight times 3 %, noise 1 %": replace(CREEP, noise=0.01),
    "eight times 3 %, noise 2 %": CREEP,
    "eight times 3 %, noise 3 %": replace(CREEP, noise=0.03),
    "eight times 3 % of memory": Kind((1.0,) * 8, memory=(1.03,) * 8),
}
"""Series whose drift has to be found in 95 of 100."""
QUIET = {
    "twenty commits without a change, noise 1 %": Kind((1.0,) * 20, noise=0.01),
    "twenty commits without a change, noise 2 %": Kind((1.0,) * 20),
    "twenty commits without a change, noise 5 %": Kind((1.0,) * 20, noise=0.05),
    "3 % in one commit, then nineteen without a change": Kind((1.03, *(1.0,) * 19)),
    "3 % over ten commits, then ten without a change": Kind((*(1.03**0.1,) * 10, *(1.0,) * 10)),
    "up and down by 3 %": Kind((1.03, 1 / 1.03) * 10),
}
"""Series without a drift beyond the floor: at most 1 in 100 may be called one."""
