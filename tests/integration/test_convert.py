"""What a part of a pipeline gives, written into files by the worker's code and read by the edited pipeline."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, builder
from pipeprof.pipelines.graph.edit.apply import apply_edits
from pipeprof.pipelines.spec.models import Spec
from pipeprof.profiles.convert.convert import cut
from pipeprof.profiles.convert.replacement import Files, edits_for
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Component, Stage
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.protocol.job import Job, as_pairs
from pipeprof.profiles.protocol.messages import WorkerMessage
from pipeprof.profiles.protocol.store import Stored, StoreEstimated, StoreJob
from pipeprof.profiles.protocol.turns import EditRefused, TurnRequest
from pipeprof.profiles.verify.file_points import Point
from pipeprof.profiles.worker.storing import store_run
from pipeprof.profiles.worker.storing.store_run import StoreRun

pytestmark = pytest.mark.usefixtures("without_autograph")

RECORDED = Path(__file__).parents[1] / "recorded" / "profiles" / "jpeg-folder.json"
MODULE = """\
import itertools

import numpy as np
import tensorflow as tf

calls = itertools.count()


def picture(number):
    return np.full((2, 3), number, np.float32)


def parse(number):
    made = tf.ensure_shape(tf.numpy_function(picture, [number], tf.float32), (2, 3))
    return {"picture": made, "name": tf.strings.as_string(number)}


def parsed():
    return tf.data.Dataset.range(10).map(parse).shuffle(4, seed=5).batch(3)


def counted():
    return tf.data.Dataset.range(10).map(lambda n: tf.numpy_function(lambda: next(calls), [], tf.int64)).batch(3)


def ragged():
    return tf.data.Dataset.range(10).map(lambda n: tf.RaggedTensor.from_row_lengths([n, n], [1, 1])).prefetch(1)


def filtered():
    return tf.data.Dataset.range(10).filter(lambda n: n % 3 == 0).map(lambda n: (n, n * n)).batch(3)


def endless():
    return tf.data.Dataset.from_generator(itertools.count, output_signature=tf.TensorSpec((), tf.int64)).batch(2)


def array():
    rows = np.arange(60, dtype=np.float32).reshape(10, 2, 3)
    return tf.data.Dataset.from_tensor_slices({"rows": rows, "label": np.arange(10)}).shuffle(4, seed=5).batch(3)
"""


class Harness:
    """As much of the channel as a worker needs; lets it write."""

    def __init__(self) -> None:
        self.said: list[WorkerMessage] = []
        self.stop = threading.Event()
        self.is_copy = False

    def send(self, message: WorkerMessage) -> None:
        self.said.append(message)

    def next_turn(self) -> TurnRequest:
        return TurnRequest("block", 0.0)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("converted") / "made.py"
    path.write_text(MODULE, encoding="utf-8")
    return path


def run(job: Job) -> tuple[StoreRun, dict[type[WorkerMessage], Any]]:
    harness: Any = Harness()
    worker = StoreRun(job, harness)
    worker.run()
    return worker, {type(message): message for message in harness.said}


def of_function(module: Path, function: str, store: StoreJob) -> tuple[StoreRun, dict[type[WorkerMessage], Any]]:
    return run(Job("function", f"{module}:{function}", [str(module)], store=store))


def plain(dataset: Any) -> list[Any]:
    return [tf.nest.map_structure(lambda part: part.tolist(), one) for one in dataset.as_numpy_iterator()]


def profile_with(*stages: Stage) -> Profile:
    found = load_profile(RECORDED)
    found.stages = list(stages)
    return found


def stage(address: str, op: str, *components: tuple[str, str, list[int | None]]) -> Stage:
    spec = [Component(name=name, dtype=dtype, shape=shape) for name, dtype, shape in components]
    return Stage(id=address, op=op, origin="written", element_spec=spec or None)


def edited(worker: StoreRun, files: Files, *line: Stage) -> Any:
    edits = edits_for(files, profile_with(*line), None)
    assert edits is not None
    return apply_edits(worker.dataset, edits, building=builder(BuildContext(Path(files.path))))


def test_what_a_python_function_makes_is_read_from_files(module: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "elements")
    worker, said = of_function(module, "parsed", StoreJob("stages.0", "parse", folder))
    estimated = said[StoreEstimated]
    assert (estimated.elements, estimated.compared) == (10, 10)
    assert estimated.bytes >= sum(file.stat().st_size for file in Path(folder).rglob("*.snapshot"))
    assert said[Stored].elements == 10
    files = Files(Point(("source", "stages.0"), "parse"), folder, "elements", (("range", None), ("map", None)))
    again = edited(worker, files, stage("source", "range"), stage("stages.0", "map"), stage("stages.1", "shuffle"))
    assert again.element_spec == worker.dataset.element_spec
    assert plain(again) == plain(worker.dataset)


def test_rows_of_an_array_are_read_as_records(module: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "rows")
    worker, said = of_function(module, "array", StoreJob("source", "from_tensor_slices", folder, "rows"))
    assert said[Stored].elements == 10
    source = stage("source", "from_tensor_slices", ("label", "int64", []), ("rows", "float32", [2, 3]))
    files = Files(Point(("source",), "from_tensor_slices"), folder, "rows", (("from_tensor_slices", None),))
    batch = stage("stages.1", "batch", ("label", "int64", [None]), ("rows", "float32", [None, 2, 3]))
    again = edited(worker, files, source, stage("stages.0", "shuffle"), batch)
    assert plain(again) == plain(worker.dataset)


def test_a_spec_reads_what_its_first_stages_gave(tmp_path: Path) -> None:
    double = {"map": {"ops": [{"tf.multiply": {"y": 2}}]}}
    data = {"version": 1, "source": {"range": {"stop": 7}}, "stages": [double, {"batch": {"batch_size": 2}}]}
    store = StoreJob("stages.0", "map", str(tmp_path / "elements"), ops=[("source", "range"), ("stages.0", "map")])
    first = as_pairs(cut(data, 1))
    _, said = run(Job("spec", "a.yaml", [str(tmp_path / "a.yaml")], data=first, base_dir=str(tmp_path), store=store))
    assert said[Stored].elements == 7
    read = {**data, "source": {"load": {"path": "elements"}}, "stages": data["stages"][1:]}  # type: ignore[index]
    context = BuildContext(base_dir=tmp_path)
    assert plain(build(Spec.model_validate(read), context)) == plain(build(Spec.model_validate(data), context))


@pytest.mark.parametrize(
    ("function", "at", "count_at", "words"),
    [
        (
            "counted",
            "stages.0",
            "source",
            "f produces different elements in the second epoch (Python in g), from element 1",
        ),
        ("ragged", "stages.1", "source", "f produces ragged tensors, which are not kept in files"),
        ("endless", "source", None, "f produces 1,024 elements and more: an end was not found within 0 s"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_stage(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, at: str, count_at: str, words: str
) -> None:
    monkeypatch.setattr(store_run, "COUNTING_SECONDS", 0.0)
    folder = tmp_path / "elements"
    _, said = of_function(module, function, StoreJob(at, "f", str(folder), count_at=count_at, python=["g"]))
    assert said[EditRefused].reason.startswith(words)
    assert not folder.exists()


def test_elements_of_a_filter_are_counted_before_they_are_written(module: Path, tmp_path: Path) -> None:
    store = StoreJob("stages.1", "square", str(tmp_path / "elements"), count_at="stages.0")
    _, said = of_function(module, "filtered", store)
    assert said[StoreEstimated].elements == said[Stored].elements == 4


def test_the_order_is_the_same_with_any_number_of_cores(tmp_path: Path) -> None:
    from pipeprof.profiles.worker.storing.store_run import load_elements, write_elements

    write_elements(tf.data.Dataset.range(50), str(tmp_path / "elements"))
    assert len(list((tmp_path / "elements").rglob("*.snapshot"))) == 1
    assert list(load_elements(str(tmp_path / "elements")).as_numpy_iterator()) == list(range(50))
