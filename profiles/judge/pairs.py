"""Pairs of fresh processes of two or more pipelines, measured in turns.

A pair is one process of each arm and one more of A, started at the same time. They have short blocks in turns, in the
order A B A′ (A B C A′ of three), then backwards, while the others are stopped. Each arm is compared with the mean of
the two of A; what these differ by is what this machine makes of the same pipeline (the resolution). Every other pair
begins with the end of that order.

Where the processes do not fit into memory, or the step uses a GPU, one runs after the other, each from its start to
its end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from statistics import geometric_mean
from typing import Literal

from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.experiment.rounds import START_SECONDS, Rounds
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.experiment.turns import (
    Mode,
    are_enough,
    block_seconds,
    blocks_of,
    order_of,
    undisturbed,
    usually_taken,
)
from pipeprof.profiles.host.limits import CoresClock, Taken
from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import Built, TurnEnded, TurnRequest

A, AGAIN = "A", "A′"
Order = Literal["turns", "one by one"]
_WARM = TurnRequest("warm", GATE.warm_seconds)


class SideFailedError(Exception):
    """A process of one arm did not come to its end: there is no verdict."""

    def __init__(self, side: str, reason: str) -> None:
        super().__init__(reason)
        self.side = side
        self.reason = reason


@dataclass(frozen=True)
class MeasuredPair:
    """The processes of a pair, and the shares of the cores' time that went elsewhere in a usual turn."""

    processes: Mapping[str, Process]
    order: tuple[str, ...]
    taken: Taken | None = None


def side_of(name: str) -> str:
    """The arm of a process by its name."""
    return name.removesuffix("′").lower()


@dataclass
class Pairs:
    """Measures pairs.

    Attributes:
            timed: Arms whose processes send their stages after their last block.
        slower: Share by which the steps of B are made longer than those of A next to it.
    """

    team: Team
    jobs: Mapping[str, Callable[[], Options]]
    _: KW_ONLY
    timeout: float
    mode: Mode = "alternating"
    timed: Collection[str] = ()
    slower: float = 0.0
    tick: Callable[[int, int], None] = lambda _done, _total: None
    cores: Callable[[], CoresClock] = CoresClock

    def __post_init__(self) -> None:
        self._rounds = Rounds(self.team, self.mode, timeout=self.timeout, cores=self.cores)
        self._intervals: dict[str, float] = {}

    @property
    def order(self) -> Order:
        """How processes share the machine: one by one from when they took more memory than there is."""
        return "turns" if self._rounds.mode == "alternating" else "one by one"

    def pair(self, number: int) -> MeasuredPair:
        """Measure one pair; `number` is from 0, every other one runs backwards.

        Raises:
            SideFailedError: A process did not come to its end.
            InterruptedVerificationError, OutOfTimeError: The user wants an end, or the time is over.
        """
        names = (*(side.upper() for side in self.jobs), AGAIN)
        jobs = {name: self.jobs[side_of(name)] for name in names}

        def measure() -> MeasuredPair:
            return self._in_turns(number, jobs) if self.order == "turns" else self._one_by_one(number, jobs)

        try:
            return self._rounds.fitting(measure)
        except MemberFailedError as error:
            raise SideFailedError(side_of(error.name), error.reason) from None
        finally:
            self.team.end()

    def _in_turns(self, number: int, jobs: Mapping[str, Callable[[], Options]]) -> MeasuredPair:
        built = self._rounds.start({name: make() for name, make in jobs.items()})
        self._intervals |= self._rounds.warm_up(jobs, _WARM)
        interval = max((self._intervals.get(name, 0.0) for name in jobs), default=0.0)
        wanted, done, names = blocks_of(interval), 0, tuple(jobs)

        def request(name: str, before: Sequence[TurnEnded]) -> TurnRequest:
            nonlocal done
            done += 1
            self.tick(done, len(jobs) * max(wanted, -(-done // len(jobs))))
            return self._request(name, interval, before)

        turns = next(
            turns for turns in self._rounds.measure(lambda: names, request, number) if are_enough(turns, wanted)
        )
        # At the end of all blocks: reading graphs takes memory and time that are not the pipeline's.
        graphs = {name: self._graphs(name) for name in jobs}
        counted = undisturbed(turns)
        found = {
            name: Process(built[name], tuple(turn.blocks[name] for turn in counted), graphs[name]) for name in jobs
        }
        return MeasuredPair(found, tuple(name for turn in counted for name in turn.order), usually_taken(counted))

    def _one_by_one(self, number: int, jobs: Mapping[str, Callable[[], Options]]) -> MeasuredPair:
        found: dict[str, Process] = {}
        graphs: dict[str, Graphs | None] = {}
        interval = 0.0

        def count(own: float) -> int:
            nonlocal interval
            interval = own
            return blocks_of(own)

        measured = self._rounds.alone(
            order_of(number, tuple(jobs)),
            lambda name: jobs[name](),
            _WARM,
            lambda name, before: self._request(name, interval, before),
            count=count,
            after=lambda name: graphs.__setitem__(name, self._graphs(name)),
        )
        for name, built, blocks in measured:
            found[name] = Process(built, tuple(blocks), graphs[name])
            self.tick(len(found), len(jobs))
        return MeasuredPair(found, tuple(name for name in found for _ in found[name].blocks))

    def _graphs(self, name: str) -> Graphs | None:
        if side_of(name) not in self.timed:
            return None
        return self.team.stages(name, seconds=self.timeout + START_SECONDS)

    def _request(self, name: str, interval: float, before: Sequence[TurnEnded]) -> TurnRequest:
        """A block; all processes of a pair have blocks of as many steps. A slower B is so than what came before it."""
        counted = [block for block in before if block.steps]
        pace = 0.0
        if name == "B" and self.slower and counted:
            pace = (1 + self.slower) * sum(block.seconds for block in counted) / sum(block.steps for block in counted)
        return TurnRequest("block", block_seconds(interval), GATE.block_steps, GATE.settle_seconds, batch_seconds=pace)


@dataclass(frozen=True)
class Process:
    """A process from its start to its end, with the model as it was in all blocks where stages are timed."""

    built: Built
    blocks: tuple[TurnEnded, ...]
    graphs: Graphs | None = None

    def values(self, elements: float | None) -> dict[str, float]:
        """The values of all metrics that it has, by name; `elements` is of a batch, None where that is not known."""
        wait, seconds = self.total("wait_seconds"), self.total("seconds")
        step_ms, wait_s, cpu_s, read = (
            self.step_ms(),
            *map(self.per_step, ("wait_seconds", "cpu_seconds", "read_bytes")),
        )
        found = {
            "step_ms": step_ms,
            "elements_per_second": 1e3 * elements / step_ms if elements and step_ms else None,
            "wait_ms": 1e3 * wait_s if wait_s is not None else None,
            "idle_share": min(wait / seconds, 1.0) if wait is not None and seconds else None,
            "cpu_ms_per_element": 1e3 * cpu_s / elements if cpu_s and elements else None,
            "peak_bytes": float(self.blocks[-1].peak_bytes or 0) or None,
            "first_batch_s": (self.built.build_seconds + self.built.first_seconds) or None,
            "disk_bytes_per_element": read / elements if read is not None and elements else None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def step_ms(self) -> float | None:
        """The geometric mean of the step intervals of the blocks.

        The ratio of two processes is then the mean of the ratios of their blocks, turn by turn: what slows the machine
        for a while slows the blocks of one turn alike and leaves their ratio as it is. A step that is slow now and then
        counts.
        """
        rates = [block.seconds / block.steps for block in self.blocks if block.steps and block.seconds > 0]
        return 1e3 * geometric_mean(rates) if rates else None

    def elements_per_batch(self) -> float | None:
        """Elements of its first batches, on average; None where their tensors share no first dimension."""
        counts = [len(batch.rows) for batch in self.built.batches]
        return sum(counts) / len(counts) if counts and all(counts) else None

    def total(self, name: str) -> float | None:
        """The sum of a figure over all blocks; None where one of them lacks it."""
        given = [getattr(block, name) for block in self.blocks]
        return None if any(value is None for value in given) else float(sum(given))

    def per_step(self, name: str) -> float | None:
        """A figure for each step; None where a block lacks it."""
        steps, value = self.total("steps"), self.total(name)
        return value / steps if steps and value is not None else None
