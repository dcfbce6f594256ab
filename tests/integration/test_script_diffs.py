"""A change in the text of a training script is checked by running the script until its dataset is there, no further."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration import forked

from pipeprof.pipelines.edits.edits import InsertStage, PipelineEdit, SetArgument
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.fix.source_diff import EditedSource, edited_source
from pipeprof.profiles.harness.settings import RunSettings

SCRIPT = """\
import sys, time
import tensorflow as tf

def make(count):
    ds = tf.data.Dataset.range(count)
    ds = ds.batch(2)
    ds = ds.map(lambda x: x + 1 if tf.reduce_sum(x) > 3 else x)
    return ds

def train(ds):
    try:
        for x in ds:
            time.sleep(0.002)
            with open("steps.log", "a") as log:
                log.write("a step")
    except BaseException:
        pass

open(sys.argv[2], "w").close()
train(make(int(sys.argv[1])))
"""
ARGUMENTS = ["100000", "started"]
# The same dataset, which another training is before.
PRETRAINED = (
    SCRIPT.partition("def train")[0]
    + """\
class Model(tf.keras.Model):
    def train_step(self, data):
        return {"loss": tf.reduce_sum(tf.cast(data, tf.float32))}

model = Model()
model.compile()
model.fit(tf.data.Dataset.range(20).batch(2), verbose=0)
open("steps.log", "w").close()
model.fit(make(100000), epochs=3, verbose=0)
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the script was measured."""
    made = tmp_path_factory.mktemp("script")
    (made / "train.py").write_text(SCRIPT)
    words = ["run", "train.py", "--no-lock", "--no-verify", "--steps", "20", "--out", "profile.json", "--"]
    done = forked.run([*words, *ARGUMENTS], made)
    assert done.returncode == 0, done.stderr
    return made


def edited(
    folder: Path,
    *steps: PipelineEdit,
    arguments: list[str] = ARGUMENTS,
    script: str = SCRIPT,
    main: dict[str, Any] | None = None,
) -> EditedSource:
    """The script with one change after the other; it has not trained for that."""
    (folder / "steps.log").unlink(missing_ok=True)
    document = json.loads((folder / "profile.json").read_text())
    document["training"]["datasets"][0] |= main or {}
    profile = Profile.model_validate(document)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = RunSettings(parse_target("train.py", scripts=True), script_args=arguments)
        found = edited_source(settings, profile, script, [[step] for step in steps])
    assert not (folder / "steps.log").exists()
    return found


def test_the_text_gives_the_graph_of_the_changes(folder: Path) -> None:
    # The line of the function that TensorFlow reads moves, and that of the loop.
    cached = InsertStage("cache", {}, "stages.0")
    found = edited(folder, SetArgument("stages.1", "map", "num_parallel_calls", 2), cached)
    expected = SCRIPT.replace("3 else x)", "3 else x, num_parallel_calls=2)")
    assert found == EditedSource(expected.replace("batch(2)", "batch(2)\n    ds = ds.cache()"))


def test_what_the_script_would_overwrite_stays(folder: Path) -> None:
    (folder / "mine").write_text("mine")
    found = edited(folder, InsertStage("cache", {}, "stages.0"), arguments=["100000", "mine"])
    assert found.text is None
    assert "could not be checked: train.py:19 would overwrite mine" in found.reason
    assert (folder / "mine").read_text() == "mine"


def test_a_training_before_the_main_one_is_not_begun(folder: Path) -> None:
    lines = PRETRAINED.splitlines()
    first, main = (number for number, line in enumerate(lines, 1) if line.startswith("model.fit("))
    (folder / "train.py").write_text(PRETRAINED)
    try:
        cached = InsertStage("cache", {}, "stages.0")
        found = edited(folder, cached, script=PRETRAINED, main={"line": main, "role": "training"})
    finally:
        (folder / "train.py").write_text(SCRIPT)
    reason = f"the edited text could not be checked: train.py:{first} trains with another dataset first"
    assert found == EditedSource(None, reason)
