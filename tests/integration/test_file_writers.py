"""Every way in which a pipeline can write files is seen before several processes run it at once."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from pipeprof.pipelines.graph.observe.effects import SaveGuard, file_writer
from pipeprof.pipelines.graph.observe.reading import read_written
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.harness.settings import make_options
from pipeprof.profiles.protocol.options import in_worker, to_worker
from pipeprof.profiles.worker.turns import TurnRun

pytestmark = pytest.mark.usefixtures("without_autograph")


def datasets(folder: str) -> dict[str, tuple[Any, str | None]]:
    numbers = tf.data.Dataset.range

    def path(x: Any) -> Any:
        return tf.strings.join([folder, "/", tf.strings.as_string(x)])

    def write(x: Any) -> Any:
        tf.io.write_file(path(x), "text")
        return x

    def save(x: Any) -> Any:
        numbers(2).save(f"{folder}/saved")
        return x

    snapshot = tf.data.experimental.snapshot(f"{folder}/a")
    return {
        "memory": (numbers(5).cache().shuffle(3), None),
        "memory in a function": (numbers(5).flat_map(lambda x: numbers(x).cache()), None),
        "cache": (numbers(5).cache(f"{folder}/b").map(lambda x: x + 1), "cache"),
        "cache of each element": (numbers(5).interleave(lambda x: numbers(3).cache(path(x))), "cache"),
        "cache of a window": (numbers(5).window(2).flat_map(lambda x: x.cache(f"{folder}/c")), "cache"),
        "cache read in a map": (
            numbers(5).map(lambda x: numbers(3).cache(f"{folder}/d").reduce(x, lambda a, b: a + b)),
            "cache",
        ),
        "snapshot of a side": (tf.data.Dataset.zip((numbers(3).snapshot(f"{folder}/e"), numbers(3))), "snapshot"),
        "experimental snapshot": (numbers(5).apply(snapshot), "snapshot"),
        "write_file": (numbers(5).map(write, num_parallel_calls=2), "WriteFile in map"),
        "write_file in a predicate": (numbers(5).filter(lambda x: write(x) >= 0), "WriteFile in filter"),
        "write_file in a tf.function": (numbers(5).map(tf.function(write)), "WriteFile in map"),
        "save in a map": (numbers(5).map(save), "SaveDataset"),
    }


def test_every_way_to_write_files_is_seen(tmp_path: Path) -> None:
    for name, (dataset, writer) in datasets(str(tmp_path)).items():
        found = file_writer(read_written(dataset, in_memory=0))
        assert found == writer or (writer and found and found.startswith(writer)), (name, found)


def test_a_worker_that_takes_turns_refuses_a_pipeline_that_writes_files(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("version: 1\nsource: {range: {stop: 4}}\nstages: [{cache: {filename: rows}}]\n")
    settings = make_options(parse_target(str(path)), load_spec(path), ["pipeprof"], lock=False)
    jobs = JobMaker(settings, memory_limit=None, digest_seconds=0.1, data_progress=lambda *_: None)
    for job in jobs.as_it_is().values():
        sent: dict[str, Any] = {}
        TurnRun(
            in_worker(json.loads(json.dumps(to_worker(job), default=vars))), SimpleNamespace(send=sent.update)
        ).run()  # type: ignore[arg-type]
        said = "the pipeline writes files (cache), which several processes cannot do at once"
        assert sent["refused"] == said
    assert [one.name for one in tmp_path.iterdir()] == ["spec.yaml"]


def test_a_dataset_is_not_saved_while_several_processes_build_it(tmp_path: Path) -> None:
    save: Callable[..., Any] = tf.data.Dataset.save
    with SaveGuard() as guard, pytest.raises(RuntimeError, match="not called while several processes"):
        tf.data.Dataset.range(3).save(str(tmp_path / "saved"))
    assert guard.asked
    assert not (tmp_path / "saved").exists()
    assert tf.data.Dataset.save is save
    with SaveGuard() as guard:
        tf.data.Dataset.range(3).map(lambda x: x + 1)
    assert not guard.asked
