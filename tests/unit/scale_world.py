"""A machine on which workers of a tf.data service give made-up rates, in place of real measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeprof.profiles.experiment.team import MemberFailedError
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turns import TurnEnded
from pipeprof.profiles.scale.proof import MeasuredNumbers

SPEC = "version: 1\nsource: {range: {stop: 9}}\nstages: [{repeat: {}}]\nstep: {simulate: 20ms}\n"
ROUNDS = 12
STEPS = 100_000
"""Of a block."""
ALONE = 21.79
"""Batches per second of the recorded run."""


def block(rate: float, factor: float, **more: float) -> TurnEnded:
    given = {"wait_seconds": 0.25, "cpu_seconds": 0.5, "peak_bytes": None, **more}
    return TurnEnded(STEPS, STEPS / rate / factor, **given)  # type: ignore[arg-type]


@dataclass
class World:
    """A machine on which so many workers give these rates.

    Attributes:
        loop_ms: CPU time of the thread of the loop for a batch.
        refuses: Addresses of stages after which TensorFlow refuses a cut.
        kills: What is said of a worker that was killed; empty where none was.
        asked: The numbers of each session.
        jobs: Of all sessions.
    """

    rates: Sequence[float]
    loop_ms: float = 0.0
    refuses: Sequence[str] = ()
    kills: str = ""
    asked: list[list[int]] = field(default_factory=list)
    jobs: list[Mapping[int, Job]] = field(default_factory=list)
    transport: int = 0

    def measure(self, _team: Any, jobs: Mapping[int, Job], *, factor: float, **_more: Any) -> MeasuredNumbers:
        self.asked.append([*jobs])
        self.jobs.append(jobs)
        edits = [edit for job in jobs.values() if job.turns for edit in job.turns.edits]
        if any(f'"{address}"' in edit for address in self.refuses for edit in edits):
            raise MemberFailedError("1", "TensorFlow does not accept the new stage", refused=True)
        if self.kills:
            raise MemberFailedError("1", self.kills, outside=True)
        more = {"loop_cpu_seconds": self.loop_ms * STEPS / 1e3}
        rounds = [
            {
                n: block(self.rates[n] * (1 + 0.002 * (number % 2)), factor, workers_bytes=n * 10**8, **more)
                for n in jobs
            }
            for number in range(ROUNDS)
        ]
        return MeasuredNumbers(rounds, factor)

    def measure_transport(self, *_arguments: Any) -> dict[str, float]:
        self.transport += 1
        return {"sent_message_ms": 0.2, "sent_mb_ms": 0.4, "received_message_ms": 0.2, "received_mb_ms": 0.4}
