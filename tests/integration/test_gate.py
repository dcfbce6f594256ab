"""A gate with real processes: a spec against its own commit, and a side that fails."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
from integration import forked
from integration.repositories import begin, commit_all

from pipeprof.cli.commands.schema import schema_of

SPEC = """version: 1
name: numbers
source: {range: {stop: 100000}}
stages:
  - map: {name: double, ops: [{tf.multiply: {y: 2}}]}
  - batch: {batch_size: 8}
  - repeat: {}
step: {simulate: 5ms}
"""
# Blocks and warm-ups are shorter than for users: what a gate says of one pair is the same. The step waits, so that the
# cores are free for other tests.
GATE = f"""{forked.SHORT}
from pipeprof.cli.main import main
from pipeprof.profiles.experiment import purposes, turns

vars(purposes.GATE).update(warm_seconds=0.2, block_seconds=0.1)
turns.PROCESS_SECONDS = 0.6
main()
"""
# Ctrl-C after the first pair of a self-test's second half; the second pair of the first half is its first one again.
INTERRUPTED = GATE.replace(
    "main()\n",
    """
from pipeprof.profiles.experiment.team import InterruptedVerificationError

from pipeprof.profiles.judge.pairs import Pairs

pair, found = Pairs.pair, []

def counted(self, number):
    if len(found) == 3:
        raise InterruptedVerificationError
    found.append(found[0] if number else pair(self, number))
    return found[-1]

Pairs.pair = counted
main()
""",
)


def run(folder: Path, *arguments: str, script: str = GATE) -> subprocess.CompletedProcess[str]:
    return forked.run([*arguments, "--quiet"], folder, script)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return begin(tmp_path, spec_yaml=SPEC)


def test_a_spec_against_its_commit(repository: Path) -> None:
    (repository / "spec.yaml").write_text(SPEC.replace("batch_size: 8", "batch_size: 16"))
    words = "gate spec.yaml --against git:HEAD --max-pairs 1 --limit stage:double=50%"
    outputs = "--out gate.json --out gate.xml --out gate.sarif --out gate.html"
    done = run(repository, *words.split(), *outputs.split())
    # One pair says nothing about the spread.
    assert done.returncode == 4, done.stderr
    assert done.stdout.startswith("Inconclusive: ")
    document = json.loads((repository / "gate.json").read_text())
    jsonschema.validate(document, schema_of("result"))
    assert document["complete"]
    assert document["verdict"] == "cannot tell"
    assert document["a"]["ref"]
    assert document["b"]["dirty"] is True
    # Other tests may run at the same time.
    codes = [warning["code"] for warning in document["warnings"] if warning["code"] != "disturbed"]
    assert codes == ["dirty-tree", "other-batches"]
    (pair,) = document["pairs"]
    assert pair["counts"]
    assert (pair["stolen_share"] is None) == (pair["elsewhere_share"] is None)
    assert (document["a"]["elements_per_batch"], document["b"]["elements_per_batch"]) == (8, 16)
    assert {"step_ms", "peak_bytes", "first_batch_s", "elements_per_second"} <= set(pair["a"]) & set(pair["b"]) & set(
        pair["again"]
    )
    for side in ("a", "b", "again"):
        assert pair[side]["stages.double.time_ms"] > 0
    (row,) = [metric for metric in document["metrics"] if metric["stage"]]
    assert (row["name"], row["location"]["line"]) == ("stages.double.time_ms", 5)
    assert document["b"]["location"] == {"file": "spec.yaml", "line": 5, "column": 5, "call": None}
    sarif = (repository / "gate.sarif").read_text()
    assert "spec.yaml" in sarif
    assert str(repository) not in sarif + (repository / "gate.html").read_text()
    assert document["data"].startswith("B gives other data: ")
    assert "<skipped" in (repository / "gate.xml").read_text()


def test_three_pipelines_are_compared_with_the_first(repository: Path) -> None:
    (repository / "larger.yaml").write_text(SPEC.replace("batch_size: 8", "batch_size: 32"))
    words = ["compare", "spec.yaml", "spec.yaml", "larger.yaml", "--pairs", "2", "--json"]
    result = run(repository, *words)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert [arm["name"] for arm in document["further"]] == ["c"]
    assert set(document["pairs"][0]["order"]) == {"A", "B", "C", "A′"}
    assert set(document["pairs"][0]["further"]) == {"c"}
    assert document["data"].startswith("A and B give the same")
    assert document["further"][0]["data"].startswith("C gives other data")
    assert {row["name"] for row in document["further"][0]["metrics"]} == {row["name"] for row in document["metrics"]}


def test_a_side_that_raises_has_no_verdict(repository: Path) -> None:
    (repository / "fails.py").write_text("def make():\n    raise ValueError('no photos')\n")
    done = run(repository, "gate", "fails.py:make", "--against", "spec.yaml", "--max-pairs", "1", "--json")
    assert done.returncode == 5, done.stderr
    document = json.loads(done.stdout)
    assert not document["complete"]
    assert document["errors"][0]["message"] == "B: raised: ValueError: no photos"
    assert document["verdict"] == "cannot tell"


def test_an_interrupted_self_test_has_the_pairs_of_both_halves(repository: Path) -> None:
    done = run(repository, "gate", "spec.yaml", "--self-test", "--max-pairs", "2", script=INTERRUPTED)
    assert done.returncode == 130, done.stderr
    assert "Metrics with faults  1 pair, B with steps " in done.stdout
    (saved,) = (repository / "pipeprof-out").glob("self-test-*.json")
    document = json.loads(saved.read_text())
    jsonschema.validate(document, schema_of("result"))
    worse = document["worse"]
    assert (len(document["pairs"]), len(worse["pairs"])) == (2, 1)
    assert document["self_test"] is None
    (pair,) = worse["pairs"]
    assert pair["b"]["peak_bytes"] > pair["a"]["peak_bytes"] + worse["hold_bytes"] / 2


READS = """import os
from pathlib import Path

import lib
import tensorflow as tf

HERE = Path(__file__).parent


def make():
    read = [Path("config.txt").read_text(), (HERE / "config.txt").read_text(), Path("../top.txt").read_text(), lib.SIZE]
    for_tensorflow = [tf.io.read_file("config.txt"), next(iter(tf.data.TextLineDataset("data.txt")))]
    read += [text.numpy().decode() for text in for_tensorflow]
    assert len({text.strip() for text in read}) == 1, read
    assert Path("untracked/x.txt").read_text() == "same"
    return tf.data.Dataset.range(100_000).batch(int(read[0])).repeat()
"""


def write_files_to_read(repository: Path, size: str) -> None:
    (repository / "jobs").mkdir(exist_ok=True)
    (repository / "src").mkdir(exist_ok=True)
    (repository / "jobs" / "train.py").write_text(READS)
    (repository / "src" / "lib.py").write_text(f"SIZE = '{size}'\n")
    for name in ("jobs/config.txt", "jobs/data.txt", "top.txt"):
        (repository / name).write_text(f"{size}\n")


def test_a_function_at_a_ref_reads_and_imports_the_files_of_the_ref(repository: Path) -> None:
    write_files_to_read(repository, "3")
    commit_all(repository)
    write_files_to_read(repository, "5")
    (repository / "jobs" / "untracked").mkdir()
    (repository / "jobs" / "untracked" / "x.txt").write_text("same")
    words = ["gate", "train.py:make", "--against", "git:HEAD", "--max-pairs", "1", "--step", "simulate:2ms", "--json"]
    done = forked.run(
        [*words, "--quiet"],
        repository / "jobs",
        f"import sys\nsys.path.append({str(repository / 'src')!r})\n{GATE}",
        PYTHONPATH=str(repository / "src"),
    )
    document = json.loads(done.stdout)
    assert document["errors"] == [], done.stderr
    assert (document["a"]["elements_per_batch"], document["b"]["elements_per_batch"]) == (3, 5)


INPUT = """import time

import tensorflow as tf


def load(number):
    time.sleep(0.001)
    return number


def make():
    ds = tf.data.Dataset.range(100_000).map(lambda x: tf.numpy_function(load, [x], tf.int64))
    return ds.batch(4)
"""


def test_a_gate_of_a_function_names_the_line_that_is_likely_the_cause(repository: Path) -> None:
    (repository / "input.py").write_text(INPUT)
    commit_all(repository)
    (repository / "input.py").write_text(INPUT.replace("0.001", "0.008"))
    done = run(repository, "gate", "input.py:make", "--against", "git:HEAD", "--step", "none")
    assert done.returncode == 3, done.stdout + done.stderr
    first = " ".join(done.stdout.partition("\n\n")[0].split())
    # Medians that say something else than the pairs, as a busy machine makes them, are left out.
    slower = r"Failed: time per step ([\d.]+ → [\d.]+ ms, )?[\d.]+× \([\d.]+–[\d.]+\), limit \+3 %"
    assert re.match(slower, first), first
    assert "Likely cause: sleep: 0.001 → 0.008 (input.py:7)" in first, first


CLOSED = """import time

import tensorflow as tf


def burn(ms):
    def work(number):
        time.sleep(ms / 1000)
        return number

    return lambda x: tf.numpy_function(work, [x], tf.int64)


def base():
    return tf.data.Dataset.range(100_000).map(burn(2))


def slow():
    return tf.data.Dataset.range(100_000).map(burn(16))
"""


def test_what_functions_close_over_is_measured(repository: Path) -> None:
    (repository / "w.py").write_text(CLOSED)
    same = run(repository, "gate", "w.py:base", "--against", "w.py:base", "--json")
    assert (same.returncode, json.loads(same.stdout)["pairs"]) == (0, []), same.stderr
    done = run(repository, "gate", "w.py:slow", "--against", "w.py:base", "--max-pairs", "1", "--json")
    assert done.returncode == 4, done.stdout + done.stderr
    assert json.loads(done.stdout)["pairs"]
