"""What a pipeline and its edited versions do: one profile, then processes that take turns, one block each."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeprof.cli.options import step as step_of
from pipeprof.pipelines.edits.edits import PipelineEdit, to_document
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import RunSettings, job_of, plan
from pipeprof.profiles.host.host import host_facts
from pipeprof.profiles.model.calibration import lacks
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turns import TurnRequest, TurnsJob

SECONDS = 3.0
"""Of the measured part of the profile."""
WARM = TurnRequest("warm", 2.0)
BLOCK_SECONDS = 0.35
LOOKS = (6, 9, 13, 19, 28, 40, 58)
"""Rounds after which the intervals are looked at: an edit whose interval is narrow enough has no further blocks."""
NARROW = 0.09
"""Half width of an interval, as a share of its middle, that is narrow enough."""
TURNS_SECONDS = 50.0
"""Of the blocks of one pipeline at most."""
PATIENCE = 60.0
BASE = "base"


@dataclass(frozen=True)
class Measured:
    """What an edit did.

    Attributes:
        speedup: Steps per second, edited over as it is, with its interval.
        wait_ms: Of the device per step, before and after; None without a step.
        peak_bytes: Peaks of memory of both processes.
    """

    speedup: Interval
    wait_ms: tuple[float, float] | None
    peak_bytes: tuple[int, int] | None


def profile_of(target: str, step: str, out: Path) -> Profile:
    """Profile a pipeline in the current folder, without trying anything."""
    run = ["run", target, "--step", step, "--seconds", f"{SECONDS:g}", "--no-verify", "--no-lock", "--quiet"]
    if step != "none":
        run += ["--dispatch", "sync"]
    program = [sys.executable, "-c", "from pipeprof.cli.main import main; main()", *run, "--out", str(out), "--force"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode or not out.exists():
        msg = f"no profile of {target}: {done.stderr[-400:]}"
        raise RuntimeError(msg)
    return Profile.model_validate_json(out.read_text(encoding="utf-8"))


def calibrate(target: str, folder: Path) -> None:
    """Let pipeprof measure the fixed costs of this machine, where it has not: at the end of a run that verifies."""
    if not lacks(host_facts()):
        return
    run = [
        "run",
        target,
        "--seconds",
        "1",
        "--budget",
        "1",
        "--no-lock",
        "--quiet",
        "--out",
        str(folder / "costs.json"),
    ]
    program = [sys.executable, "-c", "from pipeprof.cli.main import main; main()", *run, "--force"]
    subprocess.run(program, capture_output=True, timeout=120, check=False)


def measure(
    target: str, step: str, edits: Sequence[Sequence[PipelineEdit]], drawn: Sequence[Sequence[PipelineEdit]], many: int
) -> tuple[dict[int, Measured | str], dict[int, Measured | str]]:
    """Measure edits of a Python function's pipeline against it, all of them in turns with the same process.

    Args:
        target: ``FILE:FUNCTION``.
        step: As for the command line.
        edits: Those that are measured, or their reason why not.
        drawn: Of these, the first ones that can be applied.
        many: How many of them.

    Returns:
        By their places in both lists: what was measured, or why nothing was.
    """
    dispatch = None if step == "none" else "sync"
    settings = RunSettings(target=parse_target(target), step=step_of(step), dispatch=dispatch, lock=False)
    planned = plan(settings)
    whole = job_of(settings, planned, {}, memory_limit=None)
    patience = max(planned.timeout, PATIENCE)
    found: dict[tuple[str, int], Measured | str] = {}
    with Signals().installed() as signals, Team(signals, None).closing() as team:

        def job(changes: Sequence[PipelineEdit]) -> Job:
            edited = [json.dumps(to_document(edit)) for edit in changes]
            return replace(whole, turns=TurnsJob(edits=edited, round_trip=True))

        while True:
            places = [("chosen", place) for place in range(len(edits)) if ("chosen", place) not in found]
            open_ = [place for place in range(len(drawn)) if ("drawn", place) not in found]
            places += [("drawn", place) for place in open_[:many]]
            names = {f"{kind}{place}": (kind, place) for kind, place in places}
            jobs = {name: job((edits if kind == "chosen" else drawn)[place]) for name, (kind, place) in names.items()}
            try:
                team.start({BASE: job([]), **jobs}, seconds=patience)
                for name in (BASE, *names):
                    team.turn(name, WARM, seconds=patience)
                break
            except MemberFailedError as error:
                team.end()
                if error.name not in names:
                    raise
                found[names[error.name]] = str(error)
        found |= _turns(team, names, patience)
    return (
        {place: one for (kind, place), one in found.items() if kind == "chosen"},
        {place: one for (kind, place), one in found.items() if kind == "drawn"},
    )


def _turns(team: Team, names: Mapping[str, tuple[str, int]], patience: float) -> dict[tuple[str, int], Measured | str]:
    """Give everybody a block in turns, forwards and backwards, until all intervals are narrow or the time is over.

    The pipeline as it is begins and ends each round: what varies in it varies in all ratios.
    """
    block = TurnRequest("block", BLOCK_SECONDS, 4, 0.05)
    rounds: list[dict[str, Any]] = []
    until = time.monotonic() + TURNS_SECONDS
    left = list(names)
    while left and len(rounds) < LOOKS[-1] and (len(rounds) < LOOKS[0] or time.monotonic() < until):
        first = team.turn(BASE, block, seconds=patience)
        order = left if len(rounds) % 2 == 0 else reversed(left)
        blocks = {name: [team.turn(name, block, seconds=patience)] for name in order}
        blocks[BASE] = [first, team.turn(BASE, block, seconds=patience)]
        rounds.append(blocks)
        if len(rounds) in LOOKS:
            left = [name for name in left if _ratio(rounds, name).half_width > NARROW]
    found: dict[tuple[str, int], Measured | str] = {}
    for name, place in names.items():
        taken = [blocks for blocks in rounds if name in blocks]
        waits = [_wait_ms([one for blocks in taken for one in blocks[who]]) for who in (BASE, name)]
        peaks = [taken[-1][who][-1].peak_bytes for who in (BASE, name)]
        found[place] = Measured(
            _ratio(rounds, name),
            None if None in waits else (waits[0], waits[1]),
            None if None in peaks else (peaks[0], peaks[1]),
        )
    return found


def _ratio(rounds: Sequence[Mapping[str, Sequence[Any]]], name: str) -> Interval:
    """Steps per second of one over those of the pipeline as it is, in the rounds that have it."""
    pairs = [_rate(blocks[name]) / _rate(blocks[BASE]) for blocks in rounds if name in blocks]
    found = estimate([math.log(pair) for pair in pairs])
    assert found is not None
    return found


def _rate(blocks: Sequence[Any]) -> float:
    return sum(block.steps for block in blocks) / sum(block.seconds for block in blocks)


def _wait_ms(blocks: Sequence[Any]) -> float | None:
    if any(block.wait_seconds is None for block in blocks):
        return None
    return 1e3 * sum(block.wait_seconds for block in blocks) / sum(block.steps for block in blocks)
