"""Try made-up findings of a small spec, or its upper bound, and print what they are: ``FOLDER BUDGET [FINDING]…``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipeprof.pipelines.changes.edits import SetArgument, to_document
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.harness.settings import Silent, make_options
from pipeprof.profiles.tries import pace
from pipeprof.profiles.tries.run import try_changes

SPEC = """\
version: 1
name: sleeper
source: {range: {stop: 1000000}}
stages:
  - map: {name: work, ops: [tf.cast: {dtype: float32}, tf.math.square], num_parallel_calls: 1}
  - batch: {batch_size: 8}
"""
FINDINGS = {
    "parallel": (SetArgument("stages.0", "map", "num_parallel_calls", 2), "same"),
    "other-batches": (SetArgument("stages.1", "batch", "batch_size", 4), "same"),
    "raises": (SetArgument("source", "range", "stop", 0), "same"),
}
RECORDED = Path(__file__).parents[2] / "recorded" / "profiles" / "input-bound.json"


class Progress(Silent):
    """Notes go to stderr."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        del rate, total
        self.note(f"tick {done}")

    def phase(self, name: str, seconds: float | None) -> None:
        del seconds
        self.note(name)


def main() -> None:
    folder, budget, *names = sys.argv[1:]
    # What is measured here does not matter.
    vars(TRIES).update(warm_seconds=0.2, block_seconds=0.05)
    pace.SHORTEST_WARM = 0.2
    path = Path(folder, "spec.yaml")
    path.write_text(SPEC)
    profile = Profile.model_validate_json(RECORDED.read_text())
    profile.steps.interval_ms.mean = 1.0
    profile.memory.peak_bytes = 600 << 20
    # With findings, nothing else than these is tried.
    profile.verdict.bound, profile.verdict.stage = "step" if names else "input", "stages.0"
    profile.stages = [
        Stage(id=address, name=name, origin="written", op=op)
        for address, name, op in (("source", None, "range"), ("stages.0", "work", "map"), ("stages.1", None, "batch"))
    ]
    profile.findings = [
        Finding(
            rule=name,
            title=name,
            status="unverified",
            family="speed",
            in_spec=True,
            edit=Edit.model_validate(to_document(edit)),
            semantics=semantics,
        )
        for name in names
        for edit, semantics in [FINDINGS[name]]
    ]
    # A step waits, so that the cores are free for other tests.
    step = parse_step({"simulate": "3ms", "dispatch": "sync"})
    settings = make_options(parse_target(str(path)), load_spec(path), ["pipeprof"], lock=False, step=step)
    writer = ProfileWriter([Path(folder, "saved.json")])
    try_changes(profile, settings, [], float(budget), Progress(), save=lambda: writer.write(profile))
    found = {finding.rule: finding.model_dump() for finding in profile.findings}
    verification = profile.verification.model_dump() if profile.verification is not None else None
    print(json.dumps({"findings": found, "exit_code": profile.exit_code, "verification": verification}))
