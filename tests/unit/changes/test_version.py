"""Versions of a spec: steps of edits on its text, each on what the one before it made."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, SetEnvironment
from pipeprof.pipelines.changes.in_spec import EditError
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.experiment.jobs import Version

TEXT = """\
# mine
version: 1
source: {range: {stop: 100}}
stages:
  - map: {ops: [tf.identity]}   # first
  - batch: {batch_size: 4}
"""


def version(folder: Path, sets: tuple[str, ...] = ()) -> Version:
    path = folder / "spec.yaml"
    path.write_text(TEXT)
    return Version(loaded=load_spec(path, sets))


def test_a_step_has_the_addresses_of_the_version_before_it(tmp_path: Path) -> None:
    one = version(tmp_path).then([InsertStage("prefetch", {"buffer_size": 2}, "source")])
    two = one.then([SetArgument("stages.1", "map", "num_parallel_calls", 4)])
    assert two.loaded.text == TEXT.replace(
        "  - map: {ops: [tf.identity]}   # first\n",
        "  - prefetch: {buffer_size: 2}\n  - map: {ops: [tf.identity], num_parallel_calls: 4}   # first\n",
    )
    assert len(two.steps) == 2
    assert (tmp_path / "spec.yaml").read_text() == TEXT


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (SetArgument("stages.1", "map", "num_parallel_calls", 4), "stages.1: it is batch, expected map"),
        (SetArgument("stages.1", "batch", "batch_size", 4), "it changes nothing"),
        (SetArgument("stages.0", "map", "num_parallel_calls", "many"), "got 'many'"),
    ],
)
def test_a_step_that_is_not_possible_says_why(tmp_path: Path, edit: SetArgument, said: str) -> None:
    with pytest.raises(PipeprofError, match=said):
        version(tmp_path).then([edit])


def test_a_flag_stays_in_force_for_each_step(tmp_path: Path) -> None:
    start = version(tmp_path, sets=("stages.1.batch_size=2",))
    one = start.then([SetArgument("stages.0", "map", "num_parallel_calls", 4)])
    assert one.loaded.data["stages"][1] == {"batch": {"batch_size": 2}}
    assert "batch_size: 4" in one.loaded.text
    with pytest.raises(EditError, match="write what it changes into"):
        one.then([SetArgument("stages.1", "batch", "batch_size", 8)])


def test_a_python_target_keeps_its_steps_and_its_environment() -> None:
    edits = [SetEnvironment("OMP_NUM_THREADS", "1")]
    found = Version().then(edits).then([InsertStage("cache")])
    assert (found.environment, len(found.edits_of_calls)) == ({"OMP_NUM_THREADS": "1"}, 1)
