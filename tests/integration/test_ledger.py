"""The ledger of memory on real pipelines, as structure: who is in it, and that nothing is counted twice.

How exact it is, `benchmarks/attribution` measures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration import forked

CODE = """
import numpy as np
import tensorflow as tf

def mixed():
    dataset = tf.data.Dataset.range(10**6).map(lambda n: tf.fill([300_000], tf.cast(n, tf.float32)))
    return dataset.shuffle(100).batch(2).prefetch(2)

def views():
    rows = tf.data.Dataset.from_tensor_slices(np.ones((200, 100_000), np.float32))
    return rows.shuffle(200).repeat().batch(2)
"""


def run(folder: Path, function: str) -> dict[str, Any]:
    (folder / "input.py").write_text(CODE, encoding="utf-8")
    options = ["--step", "simulate:10ms", "--seconds", "0.5", "--no-verify", "--quiet", "--json"]
    done = forked.run(["run", f"input.py:{function}", *options], folder)
    assert done.returncode == 0, done.stderr
    memory: dict[str, Any] = json.loads(done.stdout)["memory"]
    return memory


def owners(memory: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in memory["ledger"]:
        found.setdefault(entry["owner"], []).append(entry)
    return found


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("mixed"), "mixed")


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("views"), "views")


def test_owners_and_the_unexplained_make_up_the_peak(mixed, views):
    for memory in (mixed, views):
        total = sum(entry["bytes"] for entry in memory["ledger"]) + memory["unexplained_bytes"]
        assert total == memory["peak_bytes"]
        assert memory["ledger"][0]["owner"] == "runtime"
        assert memory["ledger"][0]["bytes"] == pytest.approx(memory["baseline_bytes"], rel=0.01)


def test_buffers_are_the_models_at_their_stages(mixed):
    found = owners(mixed)
    (shuffle,) = found["shuffle"]
    assert (shuffle["stage"], shuffle["how"]) == ("stages.1", "model")
    assert 90 * 1_200_000 < shuffle["bytes"] < 110 * 1_200_000
    assert shuffle["predicted_bytes"]
    assert "source" not in found


def test_a_source_is_at_its_stage_and_a_shuffle_of_its_views_takes_nothing(views):
    found = owners(views)
    assert {entry["stage"] for entry in found["source"]} == {"source"}
    assert sum(entry["bytes"] for entry in found["source"]) >= 80_000_000
    assert [(entry["bytes"], entry["how"]) for entry in found["shuffle"]] == [(0, "alias")]
