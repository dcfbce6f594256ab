"""Which step of a race is taken."""

from __future__ import annotations

from pipeprof.pipelines.edits.edits import PipelineEdit, SetArgument, SetOption
from pipeprof.profiles.fix.candidates import EVERYWHERE, Candidate
from pipeprof.profiles.fix.decide import Aim, Decision, best_of
from pipeprof.profiles.fix.race import Raced
from pipeprof.profiles.verify.judging.ratio import Ratio

CALLS = SetArgument("stages.0", "map", "num_parallel_calls", 8)
MANY: tuple[PipelineEdit, ...] = (CALLS, SetOption("threading.private_threadpool_size", 8))


def taken(**speedups: float) -> str | None:
    """The step of a race that is taken, of those with these speed-ups."""
    steps = {
        "together": Candidate("all changes", "", MANY),
        "alone": Candidate("8 calls", "", (CALLS,)),
        "autotune": Candidate(EVERYWHERE, "", MANY),
    }
    raced = {name: Raced(ratio=Ratio(value, value - 0.1, value + 0.1, 6)) for name, value in speedups.items()}
    return best_of(dict.fromkeys(raced, Decision("faster", "")), raced, Aim(None), steps)


def test_of_steps_that_are_about_as_fast_the_smallest_is_taken() -> None:
    assert taken(together=16.2, alone=16.0) == "alone"
    assert taken(together=18.0, alone=16.0) == "together"
    assert taken(together=15.0, alone=16.0) == "alone"


def test_of_steps_that_are_about_as_fast_autotune_everywhere_is_taken() -> None:
    assert taken(alone=1.87, autotune=1.86) == "autotune"
    assert taken(alone=1.87, autotune=1.91, together=1.90) == "autotune"
    assert taken(alone=1.87, autotune=1.70) == "alone"
