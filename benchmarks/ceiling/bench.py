"""Upper bounds of stages: 1.0× for cheap stages after a slow source, the known gain for a slow Python function.

Usage: ``python benchmarks/ceiling/bench.py --out FILE [--seconds 60]``. Each stage is replaced by a replay of its
outputs as a run does it, with the same workers, turns and statistics (pipelines.py). Replaying the outputs without
what is before them would credit a map, a batch and a filter after a slow source with all of the source's time, 900×,
15× and 14× in a run.

Holds if a run would reject all three, because the interval of their speed-up ends before 1.03, and if the Python
function, replaced, reaches at least 60 % of the gain of the same function written in TensorFlow, and no more than 1.25
times the speed of that. Does not hold if a run would call one of the three an upper bound. Where other processes use
the cores, two processes of the same pipeline differ by more (``…_same``) than a gain of 3 %: then the outcome is
"cannot tell" (exit code 3). Four minutes at most.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.steps.step import no_step
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.experiment.evidence import EDITED
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.team import Team
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.protocol.turns import ReplayJob, TurnRequest
from pipeprof.profiles.verify.plan import Pace
from pipeprof.profiles.verify.trials import Trials

if TYPE_CHECKING:
    from pipeprof.profiles.verify.trials import Trial

HERE = Path(__file__).resolve().parent
NO_GAIN = 1.03
REACHED = 0.60
NOT_ABOVE = 1.25
PACE = Pace(
    block=TurnRequest("block", 0.35, 8, 0.05),
    warm=TurnRequest("warm", 1.5),
    start_seconds=20.0,
    digest_seconds=0.2,
    round_seconds=1.6,
)
CHEAP = {
    "filter": ReplayJob(["stages.0"], 3, 16.0, 3, 2, 256_000_000, None),
    "map": ReplayJob(["stages.1"], 3, 16.0, 1, 1, 256_000_000, None),
    "batch": ReplayJob(["stages.2"], 3, 1.0, 16, 1, 256_000_000, None),
}


class Quiet:
    """Receives how far a trial is."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Take it."""


def jobs_of(function: str) -> JobMaker:
    """The jobs of a pipeline."""
    settings = RunSettings(parse_target(f"{HERE / 'pipelines.py'}:{function}"), step=no_step(), lock=False)
    return JobMaker(settings, None, memory_limit=None, digest_seconds=0.2, data_progress=lambda *_: None)


def main() -> None:
    """Measure, and say whether the claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each stage")
    given = parser.parse_args()
    figures: dict[str, float] = {}
    statuses: dict[str, str] = {}
    raw: dict[str, Any] = {}

    def measured(name: str, trial: Trial) -> float:
        if trial.evidence is None or trial.judgement is None or trial.judgement.speedup is None:
            sys.exit(f"{name}: {trial.reason}")
        speedup = trial.judgement.speedup
        figures[f"{name}_ratio"] = round(speedup.value, 4)
        figures[f"{name}_low"], figures[f"{name}_high"] = round(speedup.low, 4), round(speedup.high, 4)
        same = trial.evidence.same()
        figures[f"{name}_same"] = round(same.value, 4) if same is not None else 1.0
        raw[name], statuses[name] = trial.evidence.ratios(), trial.status
        return speedup.value

    with Signals().installed() as signals, Team(signals, None).closing() as team:
        slow, python = jobs_of("after_slow_source"), jobs_of("in_python")
        until = time.monotonic() + given.seconds * 5
        trials = Trials(team, PACE, slow.as_it_is, until=until, timeout=60.0, progress=Quiet())
        for name, job in CHEAP.items():
            measured(name, trials.measure(slow.replayed(job), None, for_memory=False))
        trials.rebase(python.as_it_is)
        twin = jobs_of("in_tensorflow").workers(EDITED, None)
        known = measured("known", trials.measure(twin, None, for_memory=False))
        replay = ReplayJob(["stages.1"], 3, 16.0, 1, 1, 256_000_000, None)
        found = measured("python", trials.measure(python.replayed(replay), None, for_memory=False))
    figures["python_share_of_gain"] = round((found - 1) / (known - 1), 4)
    cheap = {statuses[name] for name in CHEAP}
    reached = figures["python_share_of_gain"] >= REACHED and found <= NOT_ABOVE * known
    outcome = "does not hold" if "kept" in cheap or not reached else "holds" if cheap == {"rejected"} else "cannot tell"
    claim = (
        f"a map, a batch(16) and a filter after a slow source: at most {NO_GAIN}×; a slow Python function: at least "
        f"{REACHED:.0%} of the gain of the same in TensorFlow, at most {NOT_ABOVE}× its speed"
    )
    result = {"claim": claim, "holds": outcome == "holds", "outcome": outcome, "figures": figures, "raw": raw}
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(", ".join(f"{name} {figures[f'{name}_ratio']:.2f}×" for name in (*CHEAP, "known", "python")))
    sys.exit({"holds": 0, "does not hold": 1, "cannot tell": 3}[outcome])


if __name__ == "__main__":
    main()
