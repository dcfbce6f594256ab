"""Upper bounds of stages: 1.0× for cheap stages after a slow source, the known gain for a slow Python function.

Each stage is replaced by a replay of its outputs as a run does it, as entrants of the same race (pipelines.py), which
ends as soon as the interval decides. Replaying the outputs without what is before them would credit a map, a batch and
a filter after a slow source with all of the source's time, 900×, 15× and 14× in a run.

Holds if a run would reject all three and their speed-up is at most 1.03, and if the Python function, replaced, reaches
at least 60 % of the gain of the same function written in TensorFlow, and no more than 1.25 times the speed of that.
Does not hold if a run would call one of the three an upper bound. Where two processes of the same pipeline differ by
more (``same``) than a gain of 3 %, as beside others, the outcome is "cannot tell".
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from run import Benchmark, main

if TYPE_CHECKING:
    from pipeprof.profiles.experiment.jobs import JobMaker
    from pipeprof.profiles.tries.race import RaceResult

NO_GAIN = 1.03
REACHED = 0.60
NOT_ABOVE = 1.25
SECONDS = 60.0
"""Of measuring at most, for each entrant."""
CHEAP = {"filter": (0, 16.0, 3, 2), "map": (1, 16.0, 1, 1), "batch": (2, 1.0, 16, 1)}
"""Of each stage after the slow source: its place, elements a batch, and elements taken and given by a call."""
BYTES = 256_000_000


def jobs_of(function: str) -> JobMaker:
    """The jobs of a pipeline."""
    from pipeprof.pipelines.steps.step import Step
    from pipeprof.pipelines.target.target import parse_target
    from pipeprof.profiles.experiment.jobs import JobMaker
    from pipeprof.profiles.harness.settings import make_options

    settings = make_options(parse_target(f"{HERE / 'pipelines.py'}:{function}"), step=Step(), lock=False)
    return JobMaker(settings, memory_limit=None, digest_seconds=0.2, data_progress=lambda *_: None)


def figures_of(name: str, result: RaceResult) -> dict[str, Any]:
    """What a race found of an entrant."""
    compared, evidence = result.compared, result.evidence
    if compared is None or evidence is None:
        msg = f"{name}: {result.why}"
        raise RuntimeError(msg)
    change, same = compared.change, compared.same
    return {
        "ratio": round(change.value, 4),
        "low": round(change.low, 4),
        "high": round(change.high, 4),
        "same": round(same.value, 4) if same is not None else 1.0,
        "status": result.status,
        "ratios": evidence.ratios(),
    }


def measured(name: str, _folder: Path) -> dict[str, Any]:
    """The cheap stages, or the Python function beside the same in TensorFlow."""
    from pipeprof.profiles.experiment.rounds import Rounds
    from pipeprof.profiles.experiment.team import Team
    from pipeprof.profiles.harness.event_loop import Signals
    from pipeprof.profiles.protocol.options import ReplayJob
    from pipeprof.profiles.protocol.turns import TurnRequest
    from pipeprof.profiles.tries.pace import RacePace
    from pipeprof.profiles.tries.race import Entrant, Race

    pace = RacePace(TurnRequest("block", 0.35, 8, 0.05), TurnRequest("warm", 1.5), 0.35, 3.0, digest_seconds=0.2)

    def replay(place: int, per_batch: float, taken: int, given: int) -> ReplayJob:
        return ReplayJob([f"stages.{place}"], 3, per_batch, taken, given, BYTES, None)

    maker = jobs_of("after_slow_source" if name == SLOW_SOURCE else "in_python")
    stages = CHEAP if name == SLOW_SOURCE else {"python": CHEAP["map"]}
    entrants = {stage: Entrant(maker.replayed(replay(*job)), None) for stage, job in stages.items()}
    if name != SLOW_SOURCE:
        entrants["known"] = Entrant(jobs_of("in_tensorflow").untouched(), None)
    with Signals().installed() as signals, Team(signals, None).closing() as team:
        until = time.monotonic() + SECONDS * len(entrants)
        rounds = Rounds(team, pace.mode, timeout=60.0, start_seconds=pace.ready_seconds(6))
        race = Race(rounds, pace, left=lambda: until - time.monotonic())
        results = race.run(maker.as_it_is, entrants)
    found = {entrant: figures_of(entrant, result) for entrant, result in results.items()}
    outcome = judge(name, found)
    print(", ".join(f"{stage} {one['ratio']:.2f}×" for stage, one in found.items()) + f"; {outcome}")
    raw = {stage: one.pop("ratios") for stage, one in found.items()}
    return {"outcome": outcome, "figures": found, "raw": raw}


def judge(name: str, found: dict[str, Any]) -> str:
    """Whether the claim holds of one case: pure."""
    if name == SLOW_SOURCE:
        statuses = {one["status"] for one in found.values()}
        small = statuses == {"no gain"} and all(one["ratio"] <= NO_GAIN for one in found.values())
        return "does not hold" if "kept" in statuses else "holds" if small else "cannot tell"
    known, python = found["known"], found["python"]
    python["share_of_gain"] = round((python["ratio"] - 1) / (known["ratio"] - 1), 4)
    if reaches(python["ratio"], known["ratio"]):
        return "holds"
    # It is only wrong where no value of both intervals is as claimed: where it is too high, their near ends decide.
    above = python["ratio"] > known["ratio"]
    near = (python["low"], known["high"]) if above else (python["high"], known["low"])
    return "cannot tell" if reaches(*near) or (near[0] > near[1]) != above else "does not hold"


def reaches(python: float, known: float) -> bool:
    """Whether an upper bound is as high as the gain of the same in TensorFlow, as far as is claimed: pure."""
    return python - 1 >= REACHED * (known - 1) and python <= NOT_ABOVE * known


SLOW_SOURCE, IN_PYTHON = "after a slow source", "in Python"
BENCHMARK = Benchmark(
    claim=f"a map, a batch(16) and a filter after a slow source: at most {NO_GAIN}×; a slow Python function: at least "
    f"{REACHED:.0%} of the gain of the same in TensorFlow, at most {NOT_ABOVE}× its speed",
    cases=(SLOW_SOURCE, IN_PYTHON),
    measure=measured,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
