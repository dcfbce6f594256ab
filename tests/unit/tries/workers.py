"""Workers that are made up: steady rates with a little noise, peaks of memory, and failures."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pipeprof.pipelines.changes.edits import SetArgument
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.experiment.rounds import Rounds
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import MemberFailedError
from pipeprof.profiles.host.limits import CoresClock, Taken
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded, TurnRequest
from pipeprof.profiles.tries.pace import RacePace
from pipeprof.profiles.tries.race import Entrant, Race, RaceResult, Status

MB = 1_000_000
SLOW = {"A1": 10.0, "A2": 10.0}
JOB = Options(ParsedTarget("function", Path("a.py"), "b"), ["a.py"])
PACE = RacePace(TurnRequest("block", 0.25, 4, 0.05), TurnRequest("warm", 1.0), 0.25, 1.5, 1.0)


def change(name: str, stage: str = "stages.0", number: int = 8, **more: Any) -> Proposal:
    """More calls of a map."""
    return Proposal(name, name, (SetArgument(stage, "map", "num_parallel_calls", number),), **more)


def built(data: str = "x", **more: Any) -> Built:
    return Built([BatchDigest(data, [data], "int64")], True, 100 * MB, 1.0, 0.1, **more)


@dataclass
class Workers:
    """A team.

    Attributes:
        rates: Steps per second, by process; a list is one for each block. A second process has that of the first one
            if it has none of its own.
        starts: What a start gives, where it is not the usual.
        fails: What the first block of a process raises.
        room: Processes that fit into memory.
        stops: What a turn raises.
    """

    rates: Mapping[str, float | Sequence[float]]
    starts: dict[str, Built | MemberFailedError] = field(default_factory=dict)
    peaks: Mapping[str, int] = field(default_factory=dict)
    fails: Mapping[str, MemberFailedError] = field(default_factory=dict)
    noise: float = 0.004
    room: int = 8
    stops: Callable[[Workers], Exception | None] = lambda _workers: None
    turns: list[tuple[str, str]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    jobs: dict[str, Options] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)
    measured: float = 0.0

    def __post_init__(self) -> None:
        self._draw = random.Random(3)

    def start(self, jobs: Mapping[str, Options], *, seconds: float) -> Iterable[tuple[str, Built | MemberFailedError]]:
        assert seconds >= 60.0
        found: dict[str, Built | MemberFailedError] = {}
        for name, job in jobs.items():
            self.started.append(name)
            self.alive.add(name)
            self.jobs[name] = job
            crowded = MemberFailedError(name, "reached the memory limit", crowded=True)
            found[name] = self.starts.get(name, built()) if len(self.alive) <= self.room else crowded
            if isinstance(found[name], MemberFailedError):
                self.alive.discard(name)
        return found.items()

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        assert name in self.alive
        assert seconds >= 60.0
        if (error := self.stops(self)) is not None:
            raise error
        blocks = len(self.blocks_of(name))
        self.turns.append((name, request.kind))
        if name in self.fails and request.kind == "block":
            raise self.fails[name]
        known = self.rates.get(name, self.rates.get(name.rstrip("+"), 0.0))
        if isinstance(known, (int, float)):
            rate = known * self._draw.gauss(1, self.noise)
        else:
            rate = known[blocks % len(known)]
        peak = self.peaks.get(name, self.peaks.get(name.rstrip("+"), 1_000 * MB))
        return TurnEnded(round(rate * 1000), 1000.0, None, 0.0, peak)

    def end(self, *names: str) -> None:
        self.ended += [name for name in names if name in self.alive]
        self.alive -= set(names or self.alive)

    def blocks_of(self, *names: str) -> list[str]:
        """Whose blocks were measured, in their order; of some, if they are given."""
        return [name for name, kind in self.turns if kind == "block" and (not names or name in names)]


class Cores(CoresClock):
    """The clock of a machine on which something else computes in some rounds, over all races."""

    def __init__(self, disturbed: Callable[[int], bool], cpu_seconds: float = 0.0) -> None:
        super().__init__(lambda: None)
        self._disturbed, self._cpu_seconds = disturbed, cpu_seconds
        self._round = -1

    def taken(self, cpu_seconds: float) -> Taken:
        assert math.isclose(cpu_seconds, self._cpu_seconds)
        self._round += 1
        return Taken(0.4, 0.3) if self._disturbed(self._round) else Taken(0.05)


def racing(
    workers: Workers,
    left: Callable[[], float] = lambda: 1000.0,
    pace: RacePace = PACE,
    disturbed: Callable[[int], bool] = lambda _number: False,
) -> Race:
    clock = Cores(disturbed)
    rounds = Rounds(cast("Any", workers), pace.mode, timeout=60.0, cores=lambda: clock)
    return Race(rounds, pace, left=left)


def base() -> dict[str, Options]:
    return {"A1": JOB, "A2": JOB}


def race(workers: Workers, *names: str, bounds: Collection[str] = (), **more: Any) -> dict[str, RaceResult]:
    entrants = {name: Entrant(JOB, None if name in bounds else "same") for name in names}
    return racing(workers, **more).run(base, entrants)


def result(
    gain: float,
    status: Status | None = None,
    *,
    error: float = 0.005,
    rounds: int = 3,
    peak: int = 1000 * MB,
    saved: int = 0,
    start: Mapping[str, Any] | None = None,
    turn: Mapping[str, Any] | None = None,
    **more: Any,
) -> RaceResult:
    """What was measured with that factor: kept from 1.1 on; `start` and `turn` say what is special of an entrant's."""
    block = TurnEnded(100, 1.0, None, 0.2, peak + saved)
    free = replace(block, **{"steps": round(100 * gain), "peak_bytes": peak, **(turn or {})})
    began = Built([], True, 100 * MB, 0.1, 0.1, **(start or {}))
    turns = [{"A1": block, "A2": block, "C1": free}] * rounds
    evidence = Evidence(dict.fromkeys(("A1", "A2", "C1"), began), turns, arm=("C1",))
    compared = Comparison(Interval(math.log(gain), error, 10, rounds))
    return RaceResult(status or ("kept" if gain >= 1.1 else "no gain"), compared=compared, evidence=evidence, **more)
