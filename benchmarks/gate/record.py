"""Records pairs of processes, and live decisions of the gate, of four pipelines under load that changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from load import Load

from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Tool
from pipeprof.profiles.document.store import ProfileWriter, places
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.experiment.team import Team
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import Silent, make_options
from pipeprof.profiles.judge.live import LiveSide, SessionPlan, SideName, measure
from pipeprof.profiles.judge.pairs import AGAIN, A, Pairs, Process
from pipeprof.profiles.judge.result import Result, Side
from pipeprof.profiles.judge.verdict import conclude_gate, has_seen_enough
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.tries.pace import DIGEST_SECONDS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES, PUBLIC = ROOT / "examples", ROOT / "benchmarks" / "public"


@dataclass(frozen=True)
class Case:
    """One pipeline as the gate takes it, and the step that takes the batches: None for the spec's own."""

    target: str
    step: str | None = None

    def settings(self) -> Options:
        """What is measured."""
        target = parse_target(self.target)
        loaded = load_spec(target.path) if target.function is None else None
        return make_options(target, loaded, step=parse_step(self.step) if self.step else None, lock=False)


CASES = {
    "jpeg_folder": Case(f"{EXAMPLES}/jpeg_folder/spec.yaml"),
    "tfrecord_shards": Case(f"{EXAMPLES}/tfrecord_shards/spec.yaml", "none"),
    "text_padded": Case(f"{EXAMPLES}/text_padded/per_batch.yaml"),
    "csv_lines": Case(f"{PUBLIC}/tables.py:csv_lines_batched", "simulate:2ms"),
}
LIVE: tuple[tuple[float, float], ...] = (
    (0.0, 0.0), (0.10, 0.20), (0.0, 0.0), (0.05, 0.05), (0.20, 0.20), (0.0, 0.0), (0.10, 0.05), (0.03, 0.0), (0.0, 0.0),
    (0.10, 0.20),
)  # fmt: skip
"""Of each pipeline: what its step interval and its peak memory are made larger by, as shares."""


def _process(process: Process) -> dict[str, Any]:
    values = process.values(None)
    blocks = [round(1e3 * block.seconds / block.steps, 4) for block in process.blocks if block.steps]
    return {"step_ms": round(values["step_ms"], 4), "peak_bytes": values["peak_bytes"], "blocks_ms": blocks}


def record_bank(case: Case, found: list[dict[str, Any]], pairs: int, seed: int, show: Callable[[str], object]) -> None:
    """Measure a pipeline against itself, so many pairs of three processes in all, each under another load.

    Each is added to `found`: load, seconds, and of each process its step interval, peak and blocks.
    """
    maker = JobMaker(case.settings(), memory_limit=None, digest_seconds=DIGEST_SECONDS, data_progress=lambda *_: None)
    jobs = {"a": maker.untouched, "b": maker.untouched}
    with Load(seed).closing() as load, Signals().installed() as signals, Team(signals, None).closing() as team:
        session = Pairs(team, jobs, timeout=maker.timeout)
        for number in range(pairs):
            load.change()
            if number < len(found):
                continue
            began = time.monotonic()
            pair = session.pair(number).processes
            seconds = round(time.monotonic() - began, 2)
            sides = {"a": pair[A], "b": pair["B"], "again": pair[AGAIN]}
            row = {name: _process(process) for name, process in sides.items()}
            found.append({"load": load.kind, "seconds": seconds, **row})
            show(f"pair {number + 1} of {pairs}, {load.kind}, {seconds} s")


def record_live(
    case: Case, bank: Sequence[dict[str, Any]], faults: tuple[float, float], seed: int, folder: Path
) -> dict[str, Any]:
    """Let the gate decide, live, with step and peak made larger by shares: what was put in, and all that it said."""
    slower, growth = faults
    peak = median(row[side]["peak_bytes"] for row in bank for side in ("a", "again"))
    settings = case.settings()

    def side(slower: float = 0.0, hold_bytes: int = 0) -> LiveSide:
        return LiveSide(settings, ProfileWriter(places("side", "0", folder / "side.json")), slower, hold_bytes)

    result = Result(kind="gate", tool=Tool(version="0"), a=Side(text="A"), b=Side(text="B"))
    with Load(seed).closing() as load:
        kinds: list[str] = []

        def enough(so_far: Result) -> bool:
            if has_seen_enough(so_far, GATE.most):
                return True
            load.change()
            kinds.append(load.kind)
            return False

        load.change()
        kinds.append(load.kind)
        began = time.monotonic()
        sides: dict[SideName, LiveSide] = {"a": side(), "b": side(slower, round(growth * peak))}
        measure(sides, result, SessionPlan(enough=enough, profiled=False), Silent(), lambda: None)
        seconds = time.monotonic() - began
    if any(error.code == "interrupted" for error in result.errors):
        raise KeyboardInterrupt
    conclude_gate(result)
    names = ("step_ms", "peak_bytes")
    return {
        "slower": slower,
        "larger": growth,
        "exit_code": result.exit_code,
        "verdicts": {row.name: row.verdict for row in result.metrics if row.level != "off"},
        "changes": {row.name: row.change for row in result.metrics if row.level != "off"},
        "pairs": len(result.pairs),
        "seconds": round(seconds, 1),
        "loads": kinds,
        "errors": [error.message for error in result.errors],
        "values": [
            {name: {key: getattr(pair, name)[key] for key in names} for name in ("a", "b", "again")}
            for pair in result.pairs
        ],
    }
