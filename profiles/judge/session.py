"""A session: pairs of fresh processes of two pipelines, measured in turns.

A pair is three processes, started at the same time: one of A, one of B, and one more of A. They have short blocks in
turns, in the order A B A′, then backwards, while the others are stopped: what the machine does to one of them it does
to the others half a second later, and in the ratios of blocks of the same turn it cancels. B is compared with the mean
of the two of A; what the two of A differ by is what this machine makes of the same pipeline (the resolution). Every
other pair begins with the end of that order.

Where three processes do not fit into memory, or the step uses a GPU, one runs after the other, each from its start to
its end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pipeprof.profiles.host.machine import CoresClock
from pipeprof.profiles.judge.process import Process
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.verify.judging.turns import Turn, are_enough, undisturbed, usually_taken
from pipeprof.profiles.verify.team import MemberFailedError, Team

if TYPE_CHECKING:
    from pipeprof.profiles.host.machine import Taken
    from pipeprof.profiles.protocol.job import Job
    from pipeprof.profiles.protocol.messages import Graphs
    from pipeprof.profiles.protocol.turns import Built, TurnEnded

A, B, AGAIN = "A", "B", "A′"
NAMES = (A, B, AGAIN)
SIDE_OF = {A: "a", B: "b", AGAIN: "a"}
MOST_BLOCKS = 14
"""Of each process."""
FEWEST_BLOCKS = 4
"""Of each process, where blocks are long; even, so that no process is always the first one."""
BLOCK_SECONDS = 0.2
BLOCK_STEPS = 3
"""Of a block, at least: the interval is measured from step to step."""
LONG_BLOCK_STEPS = 6
LONG_BLOCK_SECONDS = 0.6
"""A block of long steps ends after the first of these: what is dropped at its beginning is then a quarter of it."""
SETTLE_SECONDS = 0.03
"""Of a block, not counted: threads have just been started again. It is one step at least."""
DROPPED_STEPS = 2
"""Of a block of long steps: the one that was stopped in its middle, and the one after it."""
PROCESS_SECONDS = 6.4
"""That all blocks of a process take, where fewer of them are enough for it."""
WARM_SECONDS = 0.5
"""Of a warm-up, at most: it ends as soon as the step time has settled."""
START_SECONDS = 60.0
"""For TensorFlow to start, in three processes at once; more of them have more."""
Order = Literal["turns", "one by one"]
_Measured: TypeAlias = "tuple[dict[str, Built], dict[str, list[TurnEnded]], tuple[str, ...], Taken | None]"


class SideFailedError(Exception):
    """A process of one side did not come to its end: there is no verdict.

    Attributes:
        side: ``a`` or ``b``.
    """

    def __init__(self, side: str, reason: str) -> None:
        super().__init__(reason)
        self.side = side
        self.reason = reason


@dataclass(frozen=True)
class Pair:
    """The processes of a pair.

    Attributes:
        taken: Shares of the cores' time that went elsewhere in a usual turn; None where not known.
    """

    a: Process
    b: Process
    again: Process
    order: tuple[str, ...]
    taken: Taken | None = None


@dataclass(frozen=True)
class SessionRound:
    """Processes that were measured together.

    Attributes:
        processes: By name.
        taken: Shares of the cores' time that went elsewhere in a usual turn; None where not known.
    """

    processes: Mapping[str, Process]
    order: tuple[str, ...]
    taken: Taken | None = None


def blocks_of(interval: float) -> int:
    """How many blocks each process of a round has.

    Args:
        interval: Longest step interval of the processes, in seconds.

    Example:
        >>> [blocks_of(interval) for interval in (0.001, 0.08, 0.2, 2.0)]
        [14, 10, 6, 4]
    """
    block = block_seconds(interval) + max(SETTLE_SECONDS, DROPPED_STEPS * interval)
    return max(FEWEST_BLOCKS, min(MOST_BLOCKS, int(PROCESS_SECONDS / block) // 2 * 2))


def block_seconds(interval: float) -> float:
    """How long the counted part of a block is.

    Args:
        interval: Longest step interval of the processes, in seconds.

    Example:
        >>> [round(block_seconds(interval), 2) for interval in (0.001, 0.08, 0.15, 2.0)]
        [0.2, 0.48, 0.6, 6.0]
    """
    return max(BLOCK_SECONDS, BLOCK_STEPS * interval, min(LONG_BLOCK_STEPS * interval, LONG_BLOCK_SECONDS))


def order_of(turn: int, number: int, names: Sequence[str] = NAMES) -> tuple[str, ...]:
    """The order of the processes in a turn.

    Args:
        turn: Of the round, from 0.
        number: Of the round, from 0.
    """
    return tuple(names) if (turn + number) % 2 == 0 else tuple(names[::-1])


def schedule(number: int, blocks: int = MOST_BLOCKS, names: Sequence[str] = NAMES) -> tuple[str, ...]:
    """The order of the blocks of a round without a disturbance.

    Args:
        number: Of the round, from 0.

    Example:
        >>> schedule(0, 2), schedule(1, 1)
        (('A', 'B', 'A′', 'A′', 'B', 'A'), ('A′', 'B', 'A'))
    """
    return tuple(name for turn in range(blocks) for name in order_of(turn, number, names))


class Session:
    """Measures pairs, and rounds of any processes.

    Args:
        jobs: Makes the job of a side of a pair, ``a`` or ``b``.
        warm_seconds: Length of a warm-up, at most.
        timeout: Seconds without a step after which a pipeline is taken to hang.
        order: How the processes of a pair share the machine.
        timed: Sides whose processes send their stages after their last block.
        slower: Share by which the steps of B are made longer than those of A next to it.
        tick: Receives how many blocks of how many of a pair are done.
        clock: Makes the clock that tells what of a turn went elsewhere.
    """

    def __init__(
        self,
        team: Team,
        jobs: Mapping[str, Callable[[], Job]],
        *,
        timeout: float,
        warm_seconds: float = WARM_SECONDS,
        order: Order = "turns",
        timed: Collection[str] = (),
        slower: float = 0.0,
        tick: Callable[[int, int], None] = lambda _done, _total: None,
        clock: Callable[[], CoresClock] = CoresClock,
    ) -> None:
        self._team = team
        self._jobs = jobs
        self._warm = TurnRequest("warm", warm_seconds)
        self._timeout = timeout
        self._tick = tick
        self._clock = clock
        self._timed = timed
        self._slower = slower
        self._graphs: dict[str, Graphs] = {}
        self.order = order
        self._intervals: dict[str, float] = {}

    def pair(self, number: int) -> Pair:
        """Measure one pair.

        Args:
            number: From 0: every other one runs backwards.

        Raises:
            SideFailedError: A process did not come to its end.
            InterruptedVerificationError: The user wants an end.
        """
        jobs = {name: self._jobs[side] for name, side in SIDE_OF.items()}
        try:
            found = self.round(number, jobs)
        except MemberFailedError as error:
            raise SideFailedError(SIDE_OF[error.name], error.reason) from None
        processes = found.processes
        return Pair(processes[A], processes[B], processes[AGAIN], found.order, found.taken)

    def round(self, number: int, jobs: Mapping[str, Callable[[], Job]]) -> SessionRound:
        """Measure processes together.

        Args:
            number: From 0: every other one runs backwards.
            jobs: Makes the job of each process, by name, in the order of their blocks.

        Raises:
            MemberFailedError: A process did not come to its end.
            InterruptedVerificationError: The user wants an end.
        """
        try:
            built, blocks, order, taken = (
                self._in_turns(number, jobs) if self.order == "turns" else self._one_by_one(number, jobs)
            )
        except MemberFailedError as error:
            if error.crowded and self.order == "turns":
                self._team.end()
                self.order = "one by one"
                return self.round(number, jobs)
            raise
        finally:
            self._team.end()
        found = {name: Process(built[name], tuple(blocks[name]), self._graphs.get(name)) for name in jobs}
        return SessionRound(found, order, taken)

    def _in_turns(self, number: int, jobs: Mapping[str, Callable[[], Job]]) -> _Measured:
        built = self._start(jobs)
        wanted, clock = self._blocks_each(jobs), self._clock()
        turns: list[Turn] = []
        while not are_enough(turns, wanted):
            order = order_of(len(turns), number, tuple(jobs))
            blocks: dict[str, TurnEnded] = {}
            for name in order:
                blocks[name] = self._block(name, jobs, self._pace(name, blocks.values()))
                self._tick(len(jobs) * len(turns) + len(blocks), len(jobs) * max(wanted, len(turns) + 1))
            turns.append(Turn(order, blocks, clock.taken(sum(one.cpu_seconds for one in blocks.values()))))
        # At the end of all blocks: reading graphs takes memory and time that are not the pipeline's.
        for name in jobs:
            self._ask_for_stages(name)
        counted = undisturbed(turns)
        order = tuple(name for turn in counted for name in turn.order)
        return built, {name: [turn.blocks[name] for turn in counted] for name in jobs}, order, usually_taken(counted)

    def _one_by_one(self, number: int, jobs: Mapping[str, Callable[[], Job]]) -> _Measured:
        built: dict[str, Built] = {}
        blocks: dict[str, list[TurnEnded]] = {}
        order: list[str] = []
        for name in schedule(number, 1, tuple(jobs)):
            built.update(self._start({name: jobs[name]}))
            each = self._blocks_each([name])
            pace = self._pace(name, [block for before in blocks.values() for block in before])
            blocks[name] = [self._block(name, jobs, pace) for _ in range(each)]
            order += [name] * each
            self._tick(len(blocks), len(jobs))
            self._ask_for_stages(name)
            self._team.end(name)
        return built, blocks, tuple(order), None

    def _blocks_each(self, names: Collection[str]) -> int:
        return blocks_of(self._longest_interval(names))

    def _longest_interval(self, names: Iterable[str]) -> float:
        return max((self._intervals.get(name, 0.0) for name in names), default=0.0)

    def _ask_for_stages(self, name: str) -> None:
        if SIDE_OF.get(name) in self._timed:
            self._graphs[name] = self._team.stages(name, seconds=self._timeout + START_SECONDS)

    def _start(self, makers: Mapping[str, Callable[[], Job]]) -> dict[str, Built]:
        jobs = {name: make() for name, make in makers.items()}
        seconds = self._timeout + START_SECONDS * max(1.0, len(jobs) / len(NAMES))
        built = self._team.start(jobs, seconds=seconds)
        for name in jobs:
            ended = self._team.turn(name, self._warm, seconds=self._timeout + self._warm.seconds)
            if ended.steps:
                self._intervals[name] = ended.seconds / ended.steps
        return built

    def _pace(self, name: str, before: Iterable[TurnEnded]) -> float:
        """Seconds from batch to batch of B, if it is to be slower than what was measured before it."""
        found = [block for block in before if block.steps]
        if name != B or not self._slower or not found:
            return 0.0
        return (1 + self._slower) * sum(block.seconds for block in found) / sum(block.steps for block in found)

    def _block(self, name: str, together: Iterable[str], pace: float) -> TurnEnded:
        """Measure a block; all processes of a round have blocks of as many steps."""
        interval = self._longest_interval(together)
        request = TurnRequest("block", block_seconds(interval), BLOCK_STEPS, SETTLE_SECONDS, batch_seconds=pace)
        return self._team.turn(name, request, seconds=self._timeout + 2 * request.seconds)
