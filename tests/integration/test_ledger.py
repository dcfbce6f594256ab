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


def owners(folder: Path, function: str) -> dict[str, list[dict[str, Any]]]:
    """The entries of each owner, which make up the peak together with what is unexplained."""
    (folder / "input.py").write_text(CODE, encoding="utf-8")
    options = ["--step", "simulate:10ms", "--seconds", "0.5", "--no-verify", "--quiet", "--json"]
    done = forked.run(["run", f"input.py:{function}", *options], folder)
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout)["memory"]
    first = memory["ledger"][0]
    assert sum(entry["bytes"] for entry in memory["ledger"]) + memory["unexplained_bytes"] == memory["peak_bytes"]
    assert first["owner"] == "runtime"
    assert first["bytes"] == pytest.approx(memory["baseline_bytes"], rel=0.01)
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in memory["ledger"]:
        found.setdefault(entry["owner"], []).append(entry)
    return found


def test_buffers_are_the_models_at_their_stages(tmp_path: Path) -> None:
    found = owners(tmp_path, "mixed")
    (shuffle,) = found["shuffle"]
    assert (shuffle["stage"], shuffle["how"]) == ("stages.1", "model")
    assert 90 * 1_200_000 < shuffle["bytes"] < 110 * 1_200_000
    assert shuffle["predicted_bytes"]
    assert "source" not in found


def test_a_source_is_at_its_stage_and_a_shuffle_of_its_views_takes_nothing(tmp_path: Path) -> None:
    found = owners(tmp_path, "views")
    assert {entry["stage"] for entry in found["source"]} == {"source"}
    assert sum(entry["bytes"] for entry in found["source"]) >= 80_000_000
    assert [(entry["bytes"], entry["how"]) for entry in found["shuffle"]] == [(0, "alias")]
