"""``pipeprof scale`` with real workers of a tf.data service, which are started, held to shares and ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration import forked

from pipeprof.profiles.document.profile import Profile

TARGETS = """
import tensorflow as tf


def slow(number):
    return tf.reduce_sum(tf.random.stateless_uniform([300, 300], seed=[1, 2])) * 0.0 + tf.cast(number, tf.float32)


def make():
    dataset = tf.data.Dataset.range(1000).repeat()
    return dataset.map(slow, num_parallel_calls=tf.data.AUTOTUNE).batch(8)
"""
# Warm-ups are shorter than for users, and fewer rounds are enough; a block, in which a worker is held, is as long.
SCALE = f"""{forked.SHORT}
from pipeprof.cli.commands import scale
from pipeprof.cli.main import main
from pipeprof.profiles.experiment import purposes

scale.WARM_SECONDS = 0.3
vars(purposes.QUICK).update(warm_seconds=1.0, early=4)
main()
"""
CORES = 4
"""Of a worker: more than a small machine has, so that everything is scaled down."""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Profile, str]:
    """One command, whose cuts, rows and costs are looked at."""
    folder = tmp_path_factory.mktemp("scale")
    (folder / "targets.py").write_text(TARGETS)
    words = ["scale", "targets.py:make", "--measure", "1", "--worker-cores", str(CORES), "--no-verify", "--no-lock"]
    words += ["--seconds", "0.4", "--budget", "1", "--out", "out.json"]
    done = forked.run(words, folder, SCALE, PIPEPROF_CACHE_DIR=str(folder / "cache"))
    assert done.returncode == 0, done.stderr
    profile = Profile.model_validate_json((folder / "out.json").read_text())
    return folder, profile, done.stdout


def test_a_cut_is_made_and_measured_with_a_worker(scaled: tuple[Path, Profile, str]) -> None:
    _, profile, said = scaled
    found = profile.scale
    assert found is not None
    assert found.costs_known_by == "measured"
    assert [(cut.stage, cut.refused) for cut in found.cuts][-1] == ("stages.2", None)
    alone, one = found.rows[:2]
    assert alone.batches_per_second
    assert one.batches_per_second
    assert one.speedup
    assert one.memory_bytes
    assert said.startswith(found.sentence[:1].upper() + found.sentence[1:40])


def test_a_worker_is_held_to_its_share(scaled: tuple[Path, Profile, str]) -> None:
    found = scaled[1].scale
    assert found is not None
    assert found.factor is not None
    assert found.factor < 1
    used = found.rows[1].worker_cores
    assert used is not None
    # Less where others take the cores.
    assert 0 < used <= 1.15 * CORES
