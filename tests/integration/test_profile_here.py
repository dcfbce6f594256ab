"""`pipeprof.profile` in a process of the user's, shared by all assertions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration import forked

from pipeprof.profiles.document.store import load_profile

SCRIPT = """
import json
import tensorflow as tf
import pipeprof

real = tf.data.Dataset.__iter__
calls = []

def busy(i):
    # Work that the graph cannot leave out.
    return tf.reduce_sum(tf.linalg.matmul(tf.ones([150, 150]), tf.ones([150, 150]))) + tf.cast(i, tf.float32)

train = tf.data.Dataset.range(400).map(busy).batch(4)
found = pipeprof.profile(train, step=lambda batch: calls.append(batch.shape[0]), seconds=2, out="here.json")
assert tf.data.Dataset.__iter__ is real

short = pipeprof.profile(train.take(30), seconds=60, steps=20)
try:
    pipeprof.profile(train.take(0), seconds=1)
except Exception as error:
    nothing = f"{type(error).__name__}: {error}"
with pipeprof.watch("around.json"):
    try:
        pipeprof.profile(train)
    except Exception as error:
        twice = str(error)
    for batch in train.take(20):
        pass
print(json.dumps({
    "verdict": found.verdict, "stages": [stage.op for stage in found.stages], "html": len(found.to_html()),
    "path": str(found.path), "calls": len(calls), "steps": found.document.steps.count, "text": str(found),
    "short": short.document.steps.count, "nothing": nothing, "twice": twice,
}))
"""


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("here")
    (folder / "train.py").write_text(SCRIPT)
    done = forked.run([], folder, f"{forked.SHORT}\nimport runpy; runpy.run_path('train.py', run_name='__main__')")
    assert done.returncode == 0, done.stderr[-3000:]
    return {**json.loads(done.stdout.splitlines()[-1]), "folder": folder, "err": done.stderr}


def test_the_dataset_is_measured_as_it_is(answer: dict[str, Any]) -> None:
    assert {"range", "map", "batch"} <= set(answer["stages"])
    assert answer["calls"] >= answer["steps"] > 0
    # It ends after its steps, and a dataset that ends is begun again.
    assert answer["short"] >= 20
    assert answer["text"].startswith(answer["verdict"][:20])
    assert answer["html"] > 10_000


def test_the_profile_is_saved_and_nothing_is_printed_about_it(answer: dict[str, Any]) -> None:
    saved = load_profile(answer["folder"] / "here.json")
    assert saved.complete
    assert saved.steps is not None
    assert saved.steps.count == answer["steps"]
    assert "here.json" not in answer["err"]


def test_what_cannot_be_measured_is_an_error(answer: dict[str, Any]) -> None:
    assert answer["nothing"].startswith("PipelineFailedError: pipeprof.profile: ")
    assert "a block of pipeprof.watch around it measures already" in answer["twice"]
    assert Path(answer["folder"], "around.json").exists()
