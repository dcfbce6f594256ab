"""How long the blocks and warm-ups of a race are, and how many pipelines fit beside the base: pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pipeprof.pipelines.steps.step import kind_of
from pipeprof.profiles.advise.facts.caching import LEAST_EPOCHS
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.evidence import BASELINES
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.experiment.turns import Mode
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.tries.decide import AGAIN_ROUNDS

LONG_BLOCK = 1.0
"""Seconds from which a block has fewer steps, down to one: rounds of longer blocks would not fit into 30 s."""
LONGEST_WHOLE_EPOCH = 1.5
"""Seconds of an epoch up to which blocks are whole epochs."""
WHOLE_EPOCH_SHARE = 1 / 30
"""Of a large budget, for such an epoch: twelve pairs of blocks, and the starts, still fit."""
RESTARTS_COUNT = 0.02
"""Share of the time that restarts take from which blocks with one more or less of them differ by that alone."""
DIGEST_SECONDS = 1.5
DIGEST_SHARE = 0.02
"""Of the budget that the description of the first batches takes at most, in each worker."""
PROCESS_SECONDS = 2.0
"""Of the one block of a process that is measured alone."""
PROCESS_STEPS = 24
IMPORT_SECONDS = 4.0
"""For the import of TensorFlow, once: the workers are copies of the process that did it."""
START_SECONDS = 1.5
"""For a worker to start, per core."""
MOST_ENTRANTS = 4
"""In a race: two more processes run the base."""
GROWTH = 1.3
"""Of the peak that a changed pipeline is expected to need at most."""
SHORT_BLOCK = 0.1
"""Seconds of a block of short steps: the machine's own speed wanders, by 10 % within tenths of a second, and many short
blocks tell more of that than few long ones."""
SHORT_BLOCK_STEPS = 10
"""That a block shorter than the usual one has at least."""
SHORTEST_WARM = 0.5


@dataclass(frozen=True)
class RacePace:
    """Lengths of what a race measures.

    Attributes:
        block: A measured turn: at least so long, and so many steps. A faster pipeline does its steps in less than the
            base, and where blocks are whole epochs, its blocks are.
        block_seconds: That the base takes for one.
        start_seconds: Until one worker has given its first batch, per core that starts them.
        import_seconds: For TensorFlow, once: workers are copies of the process that has imported it.
        made_by: Cores that start workers.
        most: Changed pipelines that fit into memory beside both copies of the base; those of a race at most.
        alone: Why one process exists at a time, in words; None where all of a race take turns.
        passes: How often each pipeline is measured then, in a process of its own each time.
    """

    block: TurnRequest
    warm: TurnRequest
    block_seconds: float
    start_seconds: float
    digest_seconds: float
    import_seconds: float = IMPORT_SECONDS
    made_by: float = 1.0
    most: int = MOST_ENTRANTS
    alone: str | None = None
    passes: int = 2

    def one_by_one(self, why: str) -> RacePace:
        """The same for one process at a time: it has one long block."""
        block, seconds = self.block, self.block_seconds
        times = math.ceil(PROCESS_SECONDS / seconds)
        # Of whole epochs there are several.
        steps = max(PROCESS_STEPS, times * block.steps) if block.settle_seconds else times * block.steps
        block = replace(block, seconds=PROCESS_SECONDS, steps=steps)
        return replace(self, block=block, block_seconds=seconds * steps / self.block.steps, alone=why)

    @property
    def mode(self) -> Mode:
        """How many processes exist at a time."""
        return "alternating" if self.alone is None else "sequential"

    @property
    def turn_seconds(self) -> float:
        """Of one block, with its steps that do not count."""
        return self.block_seconds + self.block.settle_seconds

    @property
    def again_seconds(self) -> float:
        """Seconds that a second process of one entrant takes."""
        return self.ready_seconds(1) + AGAIN_ROUNDS * self.turn_seconds * (1 + len(BASELINES))

    def measuring(self) -> RacePace:
        """The same where starts of processes do not count."""
        return replace(self, start_seconds=0.0, import_seconds=0.0)

    def ready_seconds(self, processes: int) -> float:
        """Seconds until so many workers are warm."""
        return processes * self.start_seconds / max(1.0, min(self.made_by, processes)) + processes * self.warm.seconds

    def seconds_of(self, entrants: int, *, fresh: bool = True, again: bool = True) -> float:
        """Seconds until a race can be decided, with a fresh base or the old one, and what it kept was seen again."""
        every = entrants + len(BASELINES)
        if self.alone is not None:
            return self.import_seconds * fresh + self.passes * (self.ready_seconds(1) + self.turn_seconds) * every
        ready = self.ready_seconds(every if fresh else entrants)
        rounds = TRIES.early * self.turn_seconds * every
        return self.import_seconds * fresh + ready + rounds + self.again_seconds * again


def pace_of(profile: Profile, budget: float, limit_bytes: int | None) -> RacePace:
    """Choose lengths from the measured run, for a budget in seconds and a memory limit in bytes of all processes."""
    interval = profile.steps.interval_ms.mean / 1e3 if profile.steps is not None else 0.0
    steps, settle = TRIES.block_steps, max(TRIES.settle_seconds, interval)
    if steps * interval > LONG_BLOCK:
        steps = max(1, int(LONG_BLOCK / interval))
    shortest = min(TRIES.block_seconds, max(SHORT_BLOCK, SHORT_BLOCK_STEPS * interval))
    seconds = max(shortest, steps * interval)
    longest = max(LONGEST_WHOLE_EPOCH, WHOLE_EPOCH_SHARE * budget)
    if (epochs := whole_epochs(profile, seconds, longest)) is not None:
        # A restart in steps that are not counted would be missing.
        seconds, steps, settle = *epochs, 0.0
    most, alone = room_for(profile, limit_bytes)
    warm = max(SHORTEST_WARM, min(TRIES.warm_seconds, TRIES.warm_share * budget), 3 * interval)
    pace = RacePace(
        block=TurnRequest("block", shortest, steps, settle),
        warm=TurnRequest("warm", warm),
        block_seconds=seconds,
        start_seconds=START_SECONDS + seconds_to_make(profile),
        digest_seconds=min(DIGEST_SECONDS, DIGEST_SHARE * budget),
        made_by=profile.host.cores or 1.0,
        most=most or MOST_ENTRANTS,
    )
    return pace if alone is None else pace.one_by_one(alone)


def room_for(profile: Profile, limit_bytes: int | None) -> tuple[int, str | None]:
    """How many changed pipelines may exist beside both copies of the base, and why none may, in words."""
    if uses_gpu(profile):
        return 0, "the step may use the GPU, which one process has to itself"
    peak = profile.memory.peak_bytes
    if not peak or limit_bytes is None:
        return MOST_ENTRANTS, None
    most = min(MOST_ENTRANTS, math.floor((limit_bytes - len(BASELINES) * peak) / (GROWTH * peak)))
    if most >= 1:
        return most, None
    needed, limit = (1 + len(BASELINES)) * peak / 2**30, limit_bytes / 2**30
    return 0, f"{1 + len(BASELINES)} processes need {needed:.1f} GiB, the limit is {limit:.1f} GiB"


def uses_gpu(profile: Profile) -> bool:
    """Whether the step may use a GPU, which one process has to itself."""
    device = profile.device.kind if profile.device is not None else "none"
    return bool(profile.host.gpus) and kind_of(device).real


def whole_epochs(profile: Profile, seconds: float, longest: float) -> tuple[float, int] | None:
    """Seconds and steps of whole epochs, of `longest` at most, if short ones start with a pause that counts."""
    run = profile.steps
    if run is None or run.epochs < LEAST_EPOCHS or (run.restart_share or 0.0) < RESTARTS_COUNT:
        return None
    known = main_line(profile)[-1].cardinality if main_line(profile) else None
    epoch = known if known is not None and known > 0 else run.count / run.passes
    epoch_seconds = epoch * run.interval_ms.mean / 1e3
    if not 0 < epoch_seconds <= longest:
        return None
    many = math.ceil(seconds / epoch_seconds)
    return many * epoch_seconds, math.ceil(many * epoch)


def seconds_to_make(profile: Profile) -> float:
    """Seconds until the pipeline had given its first batch, TensorFlow's start not counted."""
    phases = {phase.name: phase.seconds or 0.0 for phase in profile.phases}
    return sum(phases.get(name, 0.0) for name in ("data", "build", "first_element"))
