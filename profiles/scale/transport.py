"""What an element costs both sides of a tf.data service on this machine: measured once, then known.

A worker gives the same array again and again, without compression: next to nothing but sending and receiving is left.
Two sizes tell the cost of an element from that of its bytes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.tables import read_table
from pipeprof.profiles.experiment.rounds import Rounds
from pipeprof.profiles.protocol.job import Job, as_pairs
from pipeprof.profiles.protocol.turns import TurnEnded, TurnRequest, TurnsJob

if TYPE_CHECKING:
    from pipeprof.profiles.experiment.team import Team

SMALL_BYTES: Final = 1_000
LARGE_BYTES: Final = 4_000_000
NAMES: Final = ("sent_message_ms", "sent_mb_ms", "received_message_ms", "received_mb_ms")
"""Of the costs, as the machine's file has them."""
_SIZES: Final = {"small": SMALL_BYTES, "large": LARGE_BYTES}
_BLOCKS: Final = 4
_WARM: Final = TurnRequest("warm", 0.5)
_BLOCK: Final = TurnRequest("block", 0.3, 8, 0.05)


def measure_transport(team: Team, timeout: float, tick: Callable[[int, int], object]) -> dict[str, float] | None:
    """Measure the costs, in two processes that take turns; None where the workers' CPU time cannot be read.

    Args:
        tick: Takes the rounds that are done, and how many there are.

    Raises:
        MemberFailedError: One of them failed.
        InterruptedVerificationError: The user wants an end.
    """
    rounds = Rounds(team, timeout=timeout)
    try:
        rounds.start({name: _job(size) for name, size in _SIZES.items()})
        rounds.warm_up(_SIZES, _WARM)
        for turns in rounds.measure(lambda: tuple(_SIZES), lambda _name, _before: _BLOCK):
            tick(len(turns), _BLOCKS)
            if len(turns) >= _BLOCKS:
                return costs_of_blocks({name: [turn.blocks[name] for turn in turns] for name in _SIZES})
    finally:
        team.end()
    return None


def costs_of_blocks(blocks: Mapping[str, list[TurnEnded]]) -> dict[str, float] | None:
    """The costs from blocks of both sizes; None where a time is missing."""
    found: dict[str, float] = {}
    for side, read in (("sent", _workers), ("received", _own)):
        small, large = (_ms_per_step(blocks[name], read) for name in _SIZES)
        if small is None or large is None:
            return None
        per_mb = max(0.0, (large - small) / ((LARGE_BYTES - SMALL_BYTES) / 1e6))
        found[f"{side}_message_ms"] = max(0.0, small - per_mb * SMALL_BYTES / 1e6)
        found[f"{side}_mb_ms"] = per_mb
    return found


def _workers(block: TurnEnded) -> float | None:
    return block.workers_cpu_seconds


def _own(block: TurnEnded) -> float | None:
    return block.counted_cpu_seconds


def _ms_per_step(blocks: list[TurnEnded], read: Callable[[TurnEnded], float | None]) -> float | None:
    seconds, steps = [read(block) for block in blocks], sum(block.steps for block in blocks)
    known = [one for one in seconds if one is not None]
    return 1e3 * sum(known) / steps if steps and len(known) == len(seconds) else None


def _job(size: int) -> Job:
    data = copy.deepcopy(read_table("pipeprof.profiles.scale", "transport"))
    source = next(iter(data["source"].values()))
    source["tensors"]["array"]["shape"] = [size]
    turns = TurnsJob(digest_batches=1)
    return Job("spec", "transport", ["transport"], data=as_pairs(data), base_dir=".", turns=turns, workers=1)
