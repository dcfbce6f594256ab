"""Records the blocks of six changes, as ``compare`` measures them: ``python record.py OUT [PAIRS]``.

The unit test of the decision replays them (``tests/unit/experiment/test_agreement.py``).
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from changes import CHANGES, write

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.team import Team
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.judge.pairs import Pairs


def main() -> None:
    """Record, and write the seconds per step of each block."""
    out, pairs = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as name:
        spec = write(Path(name))
        jobs = {}
        for letter, flags in zip("abcdefg", ((), *((flag,) for flag in CHANGES.values())), strict=True):
            settings = RunSettings(parse_target(str(spec)), check_spec(spec, flags), ["pipeprof"], lock=False)
            maker = JobMaker(settings, None, memory_limit=None, digest_seconds=0.5, data_progress=lambda *_: None)
            jobs[letter] = maker.untouched
        found: list[dict[str, list[float]]] = []
        with Signals().installed() as signals, Team(signals, None).closing() as team:
            session = Pairs(team, jobs, timeout=60.0)
            for number in range(pairs):
                measured = session.pair(number).processes
                found.append(
                    {
                        process: [round(block.seconds / block.steps, 7) for block in one.blocks]
                        for process, one in measured.items()
                    }
                )
                print(f"pair {number + 1} of {pairs}", file=sys.stderr, flush=True)
    names = dict(zip("BCDEFG", CHANGES, strict=True))
    out.write_text(json.dumps({"changes": names, "pairs": found}) + "\n")


if __name__ == "__main__":
    main()
