"""`pipeprof fix` with real workers: a function that gets a diff, and a spec whose search is interrupted."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from integration import forked

from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.experiment.purposes import TRIES

TEMPORARY = "temporary"
MODULE = """\
import time

import tensorflow as tf


def wait(number):
    time.sleep(0.005)
    return number


def load(number):
    return tf.ensure_shape(tf.numpy_function(wait, [number], tf.int64), [])


def make():
    dataset = tf.data.Dataset.range(100_000).map(load)  # one at a time
    return dataset.batch(4)
"""
SPEC = """\
# mine
version: 1
source: {range: {stop: 100000}}
stages:
  # waits
  - map: {python: "slow.py:load"}   # one at a time
  - batch:
      batch_size: 4
step: none
"""
# How sure a gain must be is as for users; blocks, warm-ups and the first run are shorter, and a race has two changes.
# The search on the function has one race, a look at what it took, and the proof, whatever time they take. That other
# tests use the cores leaves out no round.
FIX = f"""{forked.SHORT}
import sys
from pipeprof.cli.commands import fix
from pipeprof.cli.main import main
from pipeprof.profiles.experiment import purposes
from pipeprof.profiles.tries import pace, race, track

fix.FIRST_SECONDS = 1.0
vars(purposes.TRIES).update(warm_seconds=0.3, block_seconds=0.15)
race.undisturbed = list
pace.SHORTEST_WARM, pace.MOST_ENTRANTS, track.LOOK_SECONDS = 0.3, 2, 0.5
if not sys.argv[2].endswith(".yaml"):
    fits = track.WorkerTrack.fits
    track.WorkerTrack.fits = lambda one, contenders: not one.looked and fits(one, contenders)
main()
"""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str
    profile: Profile


def start(folder: Path, *words: str) -> forked.Started:
    (folder / "slow.py").write_text(MODULE)
    (folder / "spec.yaml").write_text(SPEC)
    (folder / TEMPORARY).mkdir()
    words = ("fix", *words, "--out", "run.json")
    return forked.start(words, folder, FIX, TMPDIR=str(folder / TEMPORARY))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fix")


@pytest.fixture(scope="module")
def searches(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, forked.Started]:
    """A search on a function, and one on a spec: at the same time, for both wait mostly."""
    other = tmp_path_factory.mktemp("interrupted")
    return {
        folder: start(folder, "slow.py:make", "--budget", "30", "--out", "fast.patch"),
        other: start(other, "spec.yaml", "--write", "--out", "new.yaml", "--budget", "600"),
    }


@pytest.fixture(scope="module")
def function(folder: Path, searches: dict[Path, forked.Started]) -> Ended:
    """The search on a function, at its end."""
    out, err = searches[folder].communicate()
    code = searches[folder].returncode
    assert code is not None
    return Ended(code, out, err, load_profile(folder / "run.json"))


def test_an_interrupted_search_of_a_spec_ends_with_the_best_so_far(searches: dict[Path, forked.Started]) -> None:
    tmp_path, process = list(searches.items())[-1]
    for line in process.stderr:
        if line.startswith("pipeprof: best so far"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert out.startswith("Interrupted: ")
    assert (tmp_path / "spec.yaml").read_text() == SPEC
    new = (tmp_path / "new.yaml").read_text()
    load_spec(tmp_path / "new.yaml")
    assert new != SPEC
    # What was not changed is as it was, byte by byte.
    for kept in ("# mine\nversion: 1\n", "  # waits\n", "   # one at a time\n", "  - batch:\n", "step: none\n"):
        assert kept in new
    fix = load_profile(tmp_path / "run.json").fix
    assert (fix.status, fix.text) == ("interrupted", new)
    assert list((tmp_path / TEMPORARY).iterdir()) == []


def test_every_step_has_its_factor_and_what_is_written_was_proven(function: Ended, folder: Path) -> None:
    assert function.code == 0, function.err
    fix = function.profile.fix
    assert fix.status == "fixed", fix
    assert len(fix.measured["pairs"]) >= TRIES.early
    raced = [step for step in fix.steps if step.result in {"taken", "behind", "rejected"}]
    assert raced
    assert all(step.ratios and step.peak_bytes for step in raced if step.speedup is not None)
    assert function.out.startswith("Fixed: ")
    # Python keeps the bytecode of what AutoGraph has written there.
    assert [path for path in (folder / TEMPORARY).iterdir() if path.name != "__pycache__"] == []


def test_the_diff_changes_the_calls_of_the_function_and_nothing_else(function: Ended, folder: Path) -> None:
    assert "no diff" not in function.err
    patched = folder / "patched.py"
    command = ["patch", "-p1", "-i", "fast.patch", "-o", str(patched)]
    assert subprocess.run(command, cwd=folder, check=False).returncode == 0
    text = patched.read_text()
    assert ".map(load, num_parallel_calls=" in text
    assert "  # one at a time\n" in text
    assert "pipeprof" not in text
    assert (folder / "slow.py").read_text() == MODULE
    shown = "print([batch.tolist() for batch in patched.make().take(2).as_numpy_iterator()])"
    done = forked.run([], folder, f"import sys; sys.path.insert(0, '.')\nimport patched\n{shown}")
    assert done.stdout.strip() == "[[0, 1, 2, 3], [4, 5, 6, 7]]", done.stderr
