"""Rounds: workers that are started together and work in turns, or one after the other where they do not all fit.

A round gives each worker one block, in the next round backwards. What the machine does to one of them it does to the
others half a second later, and in the ratios of blocks of one round it cancels. Where all of them together take more
memory than there is, the measurement begins again with fewer at a time, and stays so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias, TypeVar

from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.experiment.turns import Mode, Turn, order_of
from pipeprof.profiles.host.limits import CoresClock
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import Built, TurnEnded, TurnRequest

START_SECONDS = 60.0
"""For TensorFlow to start, in three processes at once; more of them have more."""
_TOGETHER = 3
PATIENCE = 20
"""Times the length of a turn that it may take."""
Lost: TypeAlias = "Callable[[MemberFailedError], object]"
"""Takes a worker that fails, where the others go on without it; raises where they do not."""
Request: TypeAlias = "Callable[[str, Sequence[TurnEnded]], TurnRequest]"
"""The turn of a worker, from its name and the blocks that the others have had in the same round."""
_Result = TypeVar("_Result")


def _raise(error: MemberFailedError) -> None:
    raise error


@dataclass
class Rounds:
    """Measures workers in rounds.

    Attributes:
        timeout: Seconds without a step after which a pipeline is taken to hang.
        cores: Makes the clock that tells what of a round went elsewhere; None where that does not count.
    """

    team: Team
    mode: Mode = "alternating"
    _: KW_ONLY
    timeout: float
    start_seconds: float = 0.0
    cores: Callable[[], CoresClock] | None = CoresClock

    def fitting(self, measure: Callable[[], _Result], fewer: Callable[[], object] = lambda: None) -> _Result:
        """Measure, again one by one (which `fewer` hears of) where all together take more memory than there is."""
        try:
            return measure()
        except MemberFailedError as error:
            if not error.crowded or self.mode == "sequential":
                raise
            self.team.end()
            self.mode = "sequential"
            fewer()
            return measure()

    def start(self, jobs: Mapping[str, Options], lost: Lost = _raise) -> dict[str, Built]:
        """Start workers and wait until their pipelines are built; `lost` takes those that fail.

        Raises MemberFailedError where all of them take more memory than there is.
        """
        seconds = max(self.timeout + START_SECONDS * max(1.0, len(jobs) / _TOGETHER), 2 * self.start_seconds)
        built: dict[str, Built] = {}
        for name, outcome in self.team.start(jobs, seconds=seconds):
            if isinstance(outcome, Built):
                built[name] = outcome
            elif outcome.crowded:
                raise outcome
            else:
                lost(outcome)
        return built

    def turn(self, name: str, request: TurnRequest) -> TurnEnded:
        """Give a worker a turn; raises MemberFailedError where it did not come to its end."""
        return self.team.turn(name, request, seconds=max(self.timeout, PATIENCE * request.seconds))

    def warm_up(self, names: Iterable[str], warm: TurnRequest, lost: Lost = _raise) -> dict[str, float]:
        """Warm workers up one by one; return the step interval in seconds of those that had steps."""
        found = {}
        for name in names:
            ended = self._turn_of(name, warm, lost)
            if ended is not None and ended.steps:
                found[name] = ended.seconds / ended.steps
        return found

    def measure(
        self, names: Callable[[], Sequence[str]], request: Request, number: int = 0, lost: Lost = _raise
    ) -> Iterator[list[Turn]]:
        """Yield the rounds so far, after each one; `number` is that of the first, and odd ones run backwards."""
        turns: list[Turn] = []
        clock = self.cores() if self.cores is not None else None
        while True:
            order, blocks = order_of(number + len(turns), names()), dict[str, "TurnEnded"]()
            for name in order:
                ended = self._turn_of(name, request(name, list(blocks.values())), lost)
                if ended is not None:
                    blocks[name] = ended
            taken = clock.taken(sum(block.cpu_seconds for block in blocks.values())) if clock is not None else None
            turns.append(Turn(order, blocks, taken))
            yield turns

    def alone(
        self,
        order: Sequence[str],
        job: Callable[[str], Options],
        warm: TurnRequest,
        request: Request,
        *,
        count: Callable[[float], int] = lambda _interval: 1,
        lost: Lost = _raise,
        after: Callable[[str], object] = lambda _name: None,
    ) -> Iterator[tuple[str, Built, list[TurnEnded]]]:
        """Yield what each worker was and did, each from its start to its end.

        `count` gives the number of its blocks, from its step interval in seconds; `after` is called after its last
        block, while it still exists.
        """
        before: list[TurnEnded] = []
        for name in order:
            try:
                built = self.start({name: job(name)})[name]
                interval = self.warm_up([name], warm).get(name, 0.0)
                blocks = [self.turn(name, request(name, before)) for _ in range(count(interval))]
                after(name)
            except MemberFailedError as error:
                lost(error)
                continue
            finally:
                self.team.end(name)
            before += blocks
            yield name, built, blocks

    def _turn_of(self, name: str, request: TurnRequest, lost: Lost) -> TurnEnded | None:
        try:
            return self.turn(name, request)
        except MemberFailedError as error:
            if error.crowded:
                raise
            lost(error)
            self.team.end(name)
            return None
