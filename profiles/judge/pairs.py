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
from dataclasses import dataclass
from typing import Literal

from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.experiment.rounds import START_SECONDS, Rounds
from pipeprof.profiles.experiment.schedule import block_seconds, blocks_of, order_of
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.experiment.turns import are_enough, undisturbed, usually_taken
from pipeprof.profiles.host.machine import CoresClock, Taken
from pipeprof.profiles.judge.process import Process
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.protocol.turns import TurnEnded, TurnRequest

A, AGAIN = "A", "A′"
Order = Literal["turns", "one by one"]


class SideFailedError(Exception):
    """A process of one arm did not come to its end: there is no verdict.

    Attributes:
        side: ``a``, ``b``, …
    """

    def __init__(self, side: str, reason: str) -> None:
        super().__init__(reason)
        self.side = side
        self.reason = reason


@dataclass(frozen=True)
class MeasuredRound:
    """Processes that were measured together.

    Attributes:
        order: In which their blocks were measured.
        taken: Shares of the cores' time that went elsewhere in a usual turn; None where not known.
    """

    processes: Mapping[str, Process]
    order: tuple[str, ...]
    taken: Taken | None = None


def side_of(name: str) -> str:
    """The arm of a process by its name.

    Example:
        >>> side_of("A"), side_of("C"), side_of("A′")
        ('a', 'c', 'a')
    """
    return name.removesuffix("′").lower()


class Pairs:
    """Measures pairs, and rounds of any processes.

    Args:
        jobs: Makes the job of an arm, by ``a``, ``b`` and so on.
        timeout: Seconds without a step after which a pipeline is taken to hang.
        order: How the processes of a pair share the machine.
        timed: Arms whose processes send their stages after their last block.
        slower: Share by which the steps of B are made longer than those of A next to it.
        tick: Receives how many blocks of how many of a pair are done.
        cores: Makes the clock that tells what of a turn went elsewhere.
    """

    def __init__(
        self,
        team: Team,
        jobs: Mapping[str, Callable[[], Job]],
        *,
        timeout: float,
        order: Order = "turns",
        timed: Collection[str] = (),
        slower: float = 0.0,
        tick: Callable[[int, int], None] = lambda _done, _total: None,
        cores: Callable[[], CoresClock] = CoresClock,
    ) -> None:
        self._jobs = jobs
        self._timeout = timeout
        self._tick = tick
        self._timed = timed
        self._slower = slower
        self._rounds = Rounds(team, "alternating" if order == "turns" else "sequential", timeout=timeout, cores=cores)
        self._intervals: dict[str, float] = {}

    @property
    def order(self) -> Order:
        """How processes share the machine: one by one from when they took more memory than there is."""
        return "turns" if self._rounds.mode == "alternating" else "one by one"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the processes of a pair, in the order of their blocks."""
        return (*(side.upper() for side in self._jobs), AGAIN)

    def pair(self, number: int) -> MeasuredRound:
        """Measure one pair.

        Args:
            number: From 0: every other one runs backwards.

        Raises:
            SideFailedError: A process did not come to its end.
            InterruptedVerificationError: The user wants an end.
        """
        try:
            return self.round(number, {name: self._jobs[side_of(name)] for name in self.names})
        except MemberFailedError as error:
            raise SideFailedError(side_of(error.name), error.reason) from None

    def round(self, number: int, jobs: Mapping[str, Callable[[], Job]]) -> MeasuredRound:
        """Measure processes together.

        Args:
            number: From 0: every other one runs backwards.
            jobs: Makes the job of each process, in the order of their blocks.

        Raises:
            MemberFailedError: A process did not come to its end.
            InterruptedVerificationError: The user wants an end.
        """

        def measure() -> MeasuredRound:
            return self._in_turns(number, jobs) if self.order == "turns" else self._one_by_one(number, jobs)

        try:
            return self._rounds.fitting(measure)
        finally:
            self._rounds.team.end()

    def _in_turns(self, number: int, jobs: Mapping[str, Callable[[], Job]]) -> MeasuredRound:
        built = self._rounds.start({name: make() for name, make in jobs.items()})
        self._intervals |= self._rounds.warm_up(jobs, _warm())
        interval = max((self._intervals.get(name, 0.0) for name in jobs), default=0.0)
        wanted, done, names = blocks_of(interval), 0, tuple(jobs)

        def request(name: str, before: Sequence[TurnEnded]) -> TurnRequest:
            nonlocal done
            done += 1
            self._tick(done, len(jobs) * max(wanted, -(-done // len(jobs))))
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
        return MeasuredRound(found, tuple(name for turn in counted for name in turn.order), usually_taken(counted))

    def _one_by_one(self, number: int, jobs: Mapping[str, Callable[[], Job]]) -> MeasuredRound:
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
            _warm(),
            lambda name, before: self._request(name, interval, before),
            count=count,
            after=lambda name: graphs.__setitem__(name, self._graphs(name)),
        )
        for name, built, blocks in measured:
            found[name] = Process(built, tuple(blocks), graphs[name])
            self._tick(len(found), len(jobs))
        return MeasuredRound(found, tuple(name for name in found for _ in found[name].blocks))

    def _graphs(self, name: str) -> Graphs | None:
        if side_of(name) not in self._timed:
            return None
        return self._rounds.team.stages(name, seconds=self._timeout + START_SECONDS)

    def _request(self, name: str, interval: float, before: Sequence[TurnEnded]) -> TurnRequest:
        """A block; all processes of a round have blocks of as many steps. A slower B is so than what came before it."""
        counted = [block for block in before if block.steps]
        pace = 0.0
        if name == "B" and self._slower and counted:
            pace = (1 + self._slower) * sum(block.seconds for block in counted) / sum(block.steps for block in counted)
        return TurnRequest("block", block_seconds(interval), GATE.block_steps, GATE.settle_seconds, batch_seconds=pace)


def _warm() -> TurnRequest:
    return TurnRequest("warm", GATE.warm_seconds)
