"""Numbers of workers measured by turns, as local processes that are scaled down together with the step.

Each number is a process that takes the batches with so many workers of its own, all in one process group: while one
number has its turn, the others are stopped. Where the real sizes do not fit into this machine, everything is slower by
one factor: the cores of each process, by stopping it while it has used its share, the step, which is stretched, and the
thread that takes the batches, which waits for as long as it would compute longer. Workers leave their cores to the
process that takes the batches whenever that wants them: on another machine, they would not be in its way. What is no
CPU time, as a wait for a disk, is slowed with the process that waits only as far as that computes, and a network is not
there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.steps.kinds.simulate import KIND as SIMULATED
from pipeprof.profiles.experiment.evidence import Evidence, rate
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.rounds import Rounds
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.experiment.turns import are_enough, undisturbed
from pipeprof.profiles.protocol.job import CoreShares, StepJob
from pipeprof.profiles.protocol.turns import TurnEnded, TurnRequest
from pipeprof.profiles.scale.rates import Load, Setting, rate_of, scaled_to

if TYPE_CHECKING:
    from pipeprof.profiles.experiment.team import Team
    from pipeprof.profiles.protocol.job import Job

FEWEST_STEPS: Final = 3
"""Of a block of long steps."""
LONG_BLOCK_SECONDS: Final = 2.0
LEAST_SHARE: Final = 0.04
"""Of a core that a worker has at least: below it, it stands still for longer than it runs between two looks."""
MOST_SMALLER: Final = 3.0
"""Times that one worker is scaled down further than it needs: its steps take as much longer."""
FULL: Final = 0.9
"""Part of the machine's cores that all processes may use before a factor has to be smaller."""


@dataclass(frozen=True)
class Alone:
    """The pipeline without a service, as the run showed it.

    Attributes:
        ms: CPU time of a batch.
        rate: Batches per second.
        most: The same with any number of cores.
    """

    ms: float
    rate: float
    most: float = math.inf


@dataclass(frozen=True)
class Scaled:
    """How a proof stands for the real sizes.

    Attributes:
        factor: Of all cores and rates; 1 where the real sizes fit.
        cores: Of this machine.
    """

    factor: float
    cores: float
    setting: Setting

    def shares(self, load: Load, workers: int, alone: Alone) -> CoreShares:
        """What each process may use: its cores, or as many as its pipeline can use where that is less."""
        if not workers:
            return CoreShares(self._share(self.setting.host_cores, alone.ms, alone.most), None, self.factor)
        client = self._share(self.setting.host_cores, 0.0, math.inf)
        worker = self._share(self.setting.worker_cores, load.worker_ms, load.most)
        return CoreShares(client, worker, self.factor)

    def _share(self, cores: float, ms: float, most: float) -> float | None:
        usable = min(cores, ms * most / 1e3) if ms and math.isfinite(most) and self.factor < 1 else cores
        share = self.factor * usable
        return share if share < self.cores else None

    def worker_share(self, load: Load) -> float:
        """Cores of this machine that a worker has in the proof."""
        return self._share(self.setting.worker_cores, load.worker_ms, load.most) or self.cores


def wanted_cores(load: Load, setting: Setting, workers: int, alone: Alone) -> float:
    """Cores that the processes of a number of workers use together, at their real sizes."""
    if not workers:
        return alone.ms * alone.rate / 1e3
    found = rate_of(load, setting, workers)
    used = found.batches_per_second * load.worker_ms / 1e3
    if found.limit == "workers" and not math.isfinite(load.most):
        used = workers * setting.worker_cores
    return used + found.batches_per_second * load.client_ms / 1e3


def factor_of(
    load: Load, setting: Setting, numbers: Sequence[int], alone: Alone, *, cores: float, before: float | None = None
) -> float:
    """The factor by which numbers of workers are scaled down that take turns.

    Args:
        cores: Of this machine.
        before: The factor of the numbers before these: it stays as long as all fit, since what a batch costs may depend
            on how often a process is stopped.
    """
    wanted = max(wanted_cores(load, setting, number, alone) for number in numbers)
    if before is not None and before * wanted <= FULL * cores:
        return before
    return scaled_to(cores, wanted)


def first_factor(load: Load, setting: Setting, expected: Sequence[int], alone: Alone, *, cores: float) -> float:
    """The factor of the first numbers, none and one: that of all that follow, unless that is much smaller.

    Args:
        expected: Numbers of workers that are likely to follow.
        cores: Of this machine.
    """
    enough, every = (factor_of(load, setting, numbers, alone, cores=cores) for numbers in ((0, 1), expected))
    found = max(every, enough / MOST_SMALLER)
    return found if largest_share_error(Scaled(found, cores, setting), load, (1,)) is None else enough


def stretched(step: StepJob, factor: float, busy_ms: float) -> StepJob:
    """The step of a proof: longer by the factor; a real one becomes a simulated one of its length.

    Example:
        >>> stretched(StepJob("simulate", {"base_ms": 12.0}), 0.5, 12.0).arguments
        {'base_ms': 24.0}
    """
    if factor >= 1 or not busy_ms:
        return step
    if step.kind != SIMULATED.name:
        return StepJob(SIMULATED.name, {"base_ms": busy_ms / factor})
    given = dict(step.arguments)
    every = given.pop("every", None)
    longer: dict[str, object] = {name: float(str(value)) / factor for name, value in given.items()}
    if isinstance(every, list):
        longer["every"] = [(number, ms / factor) for number, ms in every]
    return StepJob(step.kind, longer)


def block_of(interval: float) -> TurnRequest:
    """A measured turn, from the longest time between two steps in seconds.

    Example:
        >>> block_of(0.01).seconds, round(block_of(0.1).seconds, 2), block_of(1.0).seconds
        (0.35, 0.8, 3.0)
    """
    seconds = max(QUICK.block_seconds, min(QUICK.block_steps * interval, LONG_BLOCK_SECONDS), FEWEST_STEPS * interval)
    return TurnRequest("block", seconds, FEWEST_STEPS, max(QUICK.settle_seconds, interval))


@dataclass
class MeasuredNumbers:
    """What the numbers of workers gave, in rounds.

    Attributes:
        rounds: The blocks of each round, by the number.
        factor: By which they were scaled down.
    """

    rounds: list[dict[int, TurnEnded]] = field(default_factory=list)
    factor: float = 1.0

    def blocks(self, workers: int) -> list[TurnEnded]:
        """The blocks of a number."""
        return [blocks[workers] for blocks in self.rounds if workers in blocks]

    def rate(self, workers: int) -> Interval | None:
        """Batches per second at the real sizes, as logarithms; None where nothing was measured."""
        rates = [rate(block) / self.factor for block in self.blocks(workers)]
        return estimate([math.log(one) for one in rates if one > 0])

    def over(self, workers: int, other: int) -> Interval | None:
        """The rate of one number over that of another one in the same rounds; None where not both were measured."""
        both = [blocks for blocks in self.rounds if workers in blocks and other in blocks]
        evidence = Evidence(
            rounds=[{str(number): block for number, block in blocks.items()} for blocks in both],
            base=(str(other),),
            arm=(str(workers),),
        )
        return evidence.speedup()

    def cores(self, workers: int, read: Callable[[TurnEnded], float | None]) -> float | None:
        """Cores at the real sizes, of the seconds that `read` takes from a block."""
        blocks = self.blocks(workers)
        known = [one for block in blocks if (one := read(block)) is not None]
        seconds = sum(block.seconds for block in blocks)
        return sum(known) / seconds / self.factor if known and len(known) == len(blocks) and seconds else None

    def wait_share(self, workers: int) -> float | None:
        """Part of the time in which the device waited; None without a device."""
        blocks = [block for block in self.blocks(workers) if block.wait_seconds is not None]
        seconds = sum(block.seconds for block in blocks)
        return sum(block.wait_seconds or 0.0 for block in blocks) / seconds if seconds else None

    def memory(self, workers: int) -> int | None:
        """Resident memory of the workers; None without one."""
        known = [block.workers_bytes for block in self.blocks(workers) if block.workers_bytes is not None]
        return round(fmean(known)) if known else None


def measure_numbers(
    team: Team,
    jobs: Mapping[int, Job],
    *,
    factor: float,
    timeout: float,
    out_of_time: Callable[[], bool],
    tick: Callable[[int, int], object],
) -> MeasuredNumbers:
    """Measure numbers of workers in rounds, until there are enough or the time is over.

    Args:
        jobs: By number of workers: what the process that takes the batches runs.
        factor: By which they are scaled down.
        out_of_time: Whether no further round is measured, once the fewest that tell something are there.
        tick: Takes the rounds that are done, and how many are wanted.

    Raises:
        MemberFailedError: A process failed; its name is the number of its workers.
        InterruptedVerificationError: The user wants an end.
    """
    rounds = Rounds(team, timeout=timeout)
    names = [str(number) for number in jobs]
    found = MeasuredNumbers(factor=factor)
    try:
        rounds.start({str(number): job for number, job in jobs.items()})
        interval = max(rounds.warm_up(names, TurnRequest("warm", QUICK.warm_seconds)).values(), default=0.0)
        block = block_of(interval)
        for turns in rounds.measure(lambda: names, lambda _name, _before: block):
            used = undisturbed(turns)
            found.rounds = [{int(name): one for name, one in turn.blocks.items()} for turn in used]
            tick(len(used), QUICK.pairs)
            if are_enough(turns, QUICK.pairs) or (out_of_time() and len(turns) >= QUICK.early):
                return found
    finally:
        team.end()
    return found


def numbers_to_measure(recommended: int, most: int, wanted: int | None) -> list[int]:
    """The numbers of workers that are measured together: none, and those that decide about the recommended one.

    Args:
        wanted: Measure all up to it; None for those that decide.

    Example:
        >>> numbers_to_measure(3, 8, None), numbers_to_measure(1, 1, None), numbers_to_measure(6, 8, 3)
        ([0, 1, 2, 3, 4], [0, 1], [0, 1, 2, 3])
    """
    return list(range(min(recommended + 1, most) + 1 if wanted is None else wanted + 1))


def largest_share_error(scaled: Scaled, load: Load, workers: Sequence[int]) -> str | None:
    """Why a proof is not possible with so many workers on this machine, in words; None where it is."""
    share = scaled.worker_share(load)
    if share >= LEAST_SHARE or not workers:
        return None
    fit = max(1, int(max(workers) * share / LEAST_SHARE + 1e-9))
    return (
        f"{max(workers)} workers of {scaled.setting.worker_cores:g} cores do not fit into the {scaled.cores:g} cores "
        f"of this machine, also scaled down: each would have {share:.3f} of one; at most {fit} can be measured here"
    )
