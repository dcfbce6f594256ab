"""The causes of a difference with real workers, interrupted: what was measured is saved, and no process is left."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import jsonschema
from integration import forked

from pipeprof.cli.commands.schema import result_schema

SPEC = """version: 1
source: {range: {stop: 100000000}}
stages:
  - map: {name: double, num_parallel_calls: 2, ops: [{tf.multiply: {y: 2}}]}
  - batch: {batch_size: 8}
step: {simulate: 5ms}
"""
# Blocks and warm-ups are shorter than for users, no side is measured alone, and each change counts: a search begins
# whatever the times are. The step waits, so that the cores are free for other tests.
COMPARE = """\
from pipeprof.cli.main import main
from pipeprof.profiles.experiment import purposes, schedule
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.judge import live
from pipeprof.profiles.judge.verdicts.metrics import MetricKind

vars(purposes.GATE).update(warm_seconds=0.1, block_seconds=0.05)
schedule.PROCESS_SECONDS = 0.4
live._Comparison._look_at_both = lambda comparison: True
MetricKind.words = lambda *_: "slower"
Comparison.is_disturbed = lambda *_: False
main()
"""


def test_an_interrupted_search_keeps_the_pairs(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    changes = ["--b-set", "stages.double.num_parallel_calls=1", "--b-set", "options.deterministic=false"]
    words = ["compare", "spec.yaml", *changes, "--why", "--pairs", "1", "--no-lock"]
    process = forked.start(words, tmp_path, COMPARE)
    said = []
    for line in process.stderr:
        said.append(line)
        if "why: round 1" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, "".join(said) + err
    assert "Interrupted; the pairs so far are complete." in out
    (saved,) = (tmp_path / "pipeprof-out").glob("compare-*.json")
    document = json.loads(saved.read_text())
    jsonschema.validate(document, result_schema())
    assert not document["complete"]
    assert len(document["pairs"]) == 1
    assert document["search"]["changes"] == [
        ["stages.double.num_parallel_calls: 2 → 1"],
        ["options.deterministic: not set → false"],
    ]
    assert document["search"]["versions"] == {"V1": [0], "V2": [1], "V3": [0, 1]}
    assert {tuple(cause["changes"]) for cause in document["why"]} == {
        tuple(texts) for texts in document["search"]["changes"]
    }
