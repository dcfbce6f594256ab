"""Datasets from specs: values, names, structures, and errors pinned to their stage and call."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml

from pipeprof.pipelines.addresses import find_address
from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.chain import PYTHON, VECTORIZED
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.fields import STRUCTURE
from pipeprof.pipelines.build.pinned import BuildError
from pipeprof.pipelines.graph.error_stage import call_path
from pipeprof.pipelines.spec.operations import sources, stages

FUNCTIONS = """
import numpy as np
import tensorflow as tf
import helper_beside

def double(x):
    if tf.reduce_sum(x) > 2:
        return x * 2
    return x

def named(low, high):
    return high - low

def both(a, b):
    return a + b, a - b

def repeat_each(x):
    return tf.data.Dataset.from_tensors(x).repeat(helper_beside.TIMES)

def numbers(n):
    yield from range(n)

def made():
    return tf.data.Dataset.range(3).map(lambda x: x * 2)

def with_step():
    return made(), print

def a_list():
    return [1, 2]

def third(dataset):
    return dataset.shard(3, 0)

def a_number(dataset):
    return 3

def reduced(key, window):
    return window.batch(2).map(lambda x: (key, x))

def state(old, element):
    return old + element, old

def reader(files):
    return files.flat_map(lambda one: one)

def twenty(key):
    return tf.constant(20, tf.int64)

def rows(n):
    return tf.fill([n], n), tf.cast(tf.fill([n], n), tf.float32)

def broken(x):
    y = x
    raise ValueError("no such thing")
"""
HERE = Path(__file__).parent
STAGE_CASES = yaml.safe_load((HERE / "build_cases.yaml").read_text(encoding="utf-8"))
CALL_CASES = yaml.safe_load((HERE / "call_cases.yaml").read_text(encoding="utf-8"))
RANGE = {"range": {"stop": 4}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images, texts and sounds in folders of their class, tables, records, arrays, a database, and functions."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "helper_beside.py").write_text("TIMES = 2\n")
    for kind in ("cat", "dog"):
        for form in ("images", "texts", "sounds"):
            (tmp_path / form / kind).mkdir(parents=True)
        for number in range(2):
            image = tf.io.encode_png(np.full((4, 6, 3), 10 * number, np.uint8)).numpy()
            (tmp_path / "images" / kind / f"{number}.png").write_bytes(image)
            (tmp_path / "texts" / kind / f"{number}.txt").write_text(f"{kind} {number}")
            (tmp_path / "sounds" / kind / f"{number}.wav").write_bytes(tf.audio.encode_wav([[0.0]] * 16, 8000).numpy())
    (tmp_path / "table.csv").write_text("number,size,word\n1,0.5,x\n2,,y\n3,1.5,x\n")
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    (tmp_path / "fixed.bin").write_bytes(b"HEAD" + b"abc" + b"def" + b"!")
    with tf.io.TFRecordWriter(str(tmp_path / "examples.tfrecord")) as writer:
        for number in range(3):
            value = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
            features = tf.train.Features(feature={"a": value, "b": value})
            writer.write(tf.train.Example(features=features).SerializeToString())
    np.save(tmp_path / "x.npy", np.arange(12.0).reshape(4, 3))
    np.savez(tmp_path / "several.npz", a=np.arange(4), b=np.zeros(4))
    with sqlite3.connect(tmp_path / "rows.sqlite") as connection:
        connection.execute("create table rows (a integer, b text)")
        connection.executemany("insert into rows values (?, ?)", [(1, "x"), (2, "y")])
    tf.data.Dataset.range(4).save(str(tmp_path / "saved"))
    return tmp_path


def dataset(folder: Path, source: Any, *stages: Any, seed: int | None = None, **parts: Any) -> Any:
    data = {"version": 1, "source": source, "stages": list(stages), **parts}
    context = BuildContext(folder, {"made": folder}, seed)
    load_arrays(data, context)
    return build(data, context)


def plain(value: Any) -> Any:
    if isinstance(value, tf.SparseTensor):
        value = tf.sparse.to_dense(value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    if isinstance(value, tf.RaggedTensor):
        return plain(value.to_list())
    if tf.is_tensor(value):
        value = value.numpy()
        return plain(value.tolist() if hasattr(value, "tolist") else value)
    return value.decode() if isinstance(value, bytes) else value


def elements(folder: Path, source: Any, *stages: Any) -> list[Any]:
    return [plain(element) for element in dataset(folder, source, *stages).take(50)]


def refused(folder: Path, source: Any, *stages: Any) -> BuildError:
    with pytest.raises(BuildError) as caught:
        dataset(folder, source, *stages)
    assert "\n" not in caught.value.message
    assert "{{" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("name", STAGE_CASES)
def test_elements_are_tensorflows(folder: Path, name: str) -> None:
    case = STAGE_CASES[name]
    assert elements(folder, case["source"], *case.get("stages", ())) == case["elements"]


@pytest.mark.parametrize("name", CALL_CASES)
def test_results_of_calls_are_tensorflows(folder: Path, name: str) -> None:
    case = CALL_CASES[name]
    source = {"from_tensors": {"tensors": case["element"]}}
    assert elements(folder, source, {"map": {"ops": case["ops"]}}) == [case["result"]]


def test_every_source_stage_and_own_call_is_built_somewhere() -> None:
    text = (HERE / "build_cases.yaml").read_text(encoding="utf-8") + Path(__file__).read_text(encoding="utf-8")
    calls = (HERE / "call_cases.yaml").read_text(encoding="utf-8")
    assert {op for op in (*sources(), *stages()) if f"{op}:" not in text and f'"{op}"' not in text} == set()
    assert {call for call in (*STRUCTURE, "copy", "getitem", PYTHON, VECTORIZED) if f"{call}:" not in calls} == set()


def test_every_node_and_function_carries_its_address(folder: Path) -> None:
    made = dataset(
        folder,
        {"list_files": {"file_pattern": "examples*", "shuffle": False}},
        {
            "interleave": {
                "source": {"TFRecordDataset": {}},
                "stages": [{"map": {"ops": [{"tf.strings.length": {}}]}}],
                "cycle_length": 2,
            }
        },
        {"map": {"map_func": {"python": "functions.py:double"}, "num_parallel_calls": 2}},
    )
    variant = tf.data.experimental.to_variant(made)
    serialized = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=1).numpy()
    graph = tf.compat.v1.GraphDef.FromString(serialized)
    names = {node.op: node.attr["metadata"].s for node in graph.node if "Dataset" in node.op}
    assert names["InterleaveDataset"].endswith(b"stages_0")
    assert names["ParallelMapDatasetV2"].endswith(b"stages_1")
    functions = {find_address(each.signature.name): each for each in graph.library.function}
    assert {"stages.0", "stages.0.stages.0", "stages.1"} <= set(functions)
    inner = {node.attr["metadata"].s for node in functions["stages.0"].node_def if "Dataset" in node.op}
    assert any(name.endswith(b"stages_0_source") for name in inner)
    assert any(node.name == "stages_0_stages_0/ops_0/StringLength" for node in functions["stages.0.stages.0"].node_def)
    assert all(node.name.startswith(("stages_1", "Identity", "NoOp")) for node in functions["stages.1"].node_def)


def test_structures_are_those_of_the_spec(folder: Path) -> None:
    array = {"array": {"shape": [4], "dtype": "int32", "fill": "arange"}}
    tensors = {"x": {"npy": "x.npy", "mmap_mode": "r"}, "y": [{"npz": "several.npz", "key": "a"}, array], "z": [7] * 4}
    spec = dataset(folder, {"from_tensor_slices": {"tensors": tensors}}).element_spec
    assert (spec.keys(), type(spec["y"])) == ({"x", "y", "z"}, tuple)
    rows = dataset(folder, {"from_tensor_slices": {"tensors": {"csv": "table.csv"}}})
    assert [spec.dtype.name for spec in rows.element_spec.values()] == ["int64", "float64", "string"]


def test_folders(folder: Path) -> None:
    arguments = {"image_size": [3, 3], "batch_size": 3, "shuffle": False, "class_names": ["dog", "cat"]}
    images = dataset(folder, {"image_dataset_from_directory": {"directory": "images", **arguments}})
    batch, labels = next(iter(images))
    assert batch.shape == (3, 3, 3, 3)
    assert labels.numpy().tolist() == [0, 0, 1]
    sounds = dataset(folder, {"audio_dataset_from_directory": {"directory": "sounds", "output_sequence_length": 8}})
    assert next(iter(sounds))[0].shape == (4, 8, 1)


def test_columns_that_are_alike_are_written_once(folder: Path) -> None:
    (folder / "wide.csv").write_text("7" + ",1" * 430 + "\n")
    columns = ["int32", {"repeat": "float32", "count": 430}]
    (row,) = elements(folder, {"CsvDataset": {"filenames": "wide.csv", "record_defaults": columns}})
    assert row == [7, *[1.0] * 430]


def test_random_stages_and_snapshots(folder: Path) -> None:
    sides = [{"source": {"range": {"stop": 1000}}}, {"source": {"range": {"start": 1000, "stop": 2000}}}]
    parts = {"datasets": sides, "weights": [0.8, 0.2], "seed": 3}
    sampled = dataset(folder, {"sample_from_datasets": parts}).take(500)
    assert 0.7 < np.mean([element.numpy() < 1000 for element in sampled]) < 0.9
    of_four = [{"tf.math.floormod": {"y": 4}}, {"tf.math.equal": {"y": 0}}, {"tf.cast": {"dtype": "int32"}}]
    target = {"target_dist": [0.5, 0.5], "initial_dist": [0.75, 0.25], "seed": 1}
    resampled = dataset(
        folder, {"range": {"stop": 1000}}, {"rejection_resample": {"class_func": {"ops": of_four}, **target}}
    )
    assert 0.4 < np.mean([int(kind) for kind, _ in resampled]) < 0.6
    shuffled = ({"shuffle": {"buffer_size": 9, "seed": 3}}, {"padded_batch": {"batch_size": 4}}, {"unbatch": {}})
    found = elements(folder, RANGE, {"cache": None}, *shuffled, {"repeat": {"count": 2}})
    assert sorted(found) == sorted([*range(4)] * 2)
    for _ in range(2):
        assert sorted(elements(folder, RANGE, {"snapshot": {"path": "made/kept"}})) == [0, 1, 2, 3]
    assert list((folder / "made" / "kept").iterdir())


def test_options_are_set(folder: Path) -> None:
    written = {
        "deterministic": False,
        "x-note": "why",
        "autotune": {"enabled": True, "ram_budget": "1GiB", "autotune_algorithm": "HILL_CLIMB"},
        "threading": {"private_threadpool_size": 3},
        "experimental_optimization": {"map_fusion": True},
        "experimental_external_state_policy": "WARN",
    }
    options = dataset(folder, RANGE, options=written).options()
    assert options.deterministic is False
    assert options.autotune.ram_budget == 2**30
    assert options.autotune.autotune_algorithm == tf.data.experimental.AutotuneAlgorithm.HILL_CLIMB
    assert options.threading.private_threadpool_size == 3
    assert options.experimental_optimization.map_fusion is True


def test_the_seed_settles_random_ops_and_layers(folder: Path) -> None:
    image = {"from_tensors": {"tensors": {"array": {"shape": [8, 8, 3]}}}}
    layer = {"tf.keras.layers.RandomFlip": {"mode": "horizontal", "training": True}}
    stages = [{"repeat": {}}, {"map": {"ops": [layer, {"tf.image.random_brightness": {"max_delta": 0.1}}]}}]

    def drawn(seed: int) -> list[bytes]:
        made = dataset(folder, image, *stages, measure={"seed": seed})
        return [value.tobytes() for value in made.take(8).as_numpy_iterator()]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len(set(drawn(1))) > 2


def test_layers_are_made_once_with_the_words_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(tf.keras.layers, "Rescaling", lambda scale: made.append(scale) or (lambda x: x * scale))
    calls = [
        {"to_dict": {"a": None, "b": None}},
        {"tf.keras.layers.StringLookup": {"vocabulary": "words.txt", "on": "a"}},
        {"tf.keras.layers.StringLookup": {"vocabulary": ["two"], "dtype": "tf.int64", "on": "b"}},
        {"tf.cast": {"dtype": "float32", "on": "a"}},
        {"tf.keras.layers.Rescaling": {"scale": 0.5, "on": "a"}},
    ]
    inside = {"source": {"from_tensor_slices": {}}, "stages": [{"map": {"ops": calls}}], "cycle_length": 1}
    found = elements(folder, {"from_tensors": {"tensors": ["one", "two", "x"]}}, {"interleave": inside})
    assert found == [{"a": 0.5, "b": 0}, {"a": 1.0, "b": 1}, {"a": 0.0, "b": 0}]
    assert made == [0.5]


NESTED = {"source": {"TFRecordDataset": {}}, "stages": [{"map": {"ops": ["tf.io.decode_jpeg", "tf.strings.upper"]}}]}
IMAGES = {"list_files": {"file_pattern": "images/*/*.png"}}
GROUPED = {"key_func": {"ops": ["tf.identity"]}, "reduce_func": {"stages": [{"unbatch": {}}]}, "window_size": 2}
BAD_SIDE = {"source": RANGE, "stages": [{"batch": {"batch_size": 2}}, {"map": {"ops": ["tf.io.read_file"]}}]}
CHAIN = {"map": {"ops": ["tf.abs", {"tf.vectorized_map": {"fn": ["tf.abs", "tf.strings.lower"]}}]}}
LAYER = {"tf.keras.layers.Resizing": {"height": 2, "width": 2, "interpolation": "x"}}
THREE = {"tf.unstack": {"num": 2, "on": [], "value": [1, 2], "to": ["a", "b", "c"]}}
# What is refused for its shapes and types at the level of a spec's stages is among the bad specs.
REFUSED: dict[str, tuple[Any, list[Any], str, str]] = {
    "under its argument": (RANGE, [{"map": {"map_func": {"ops": ["tf.strings.lower"]}}}], "stages.0", "map_func.ops.0"),
    "inside of a chain": (RANGE, [{"batch": {"batch_size": 2}}, CHAIN], "stages.1", "ops.1.fn.1"),
    "results": (RANGE, [{"map": {"ops": [{"to_dict": ["a"]}, THREE]}}], "stages.0", "ops.1"),
    "a layer": (RANGE, [{"map": {"ops": [LAYER]}}], "stages.0", "ops.0"),
    "inside of a function": (IMAGES, [{"flat_map": NESTED}], "stages.0.stages.0", "ops.1"),
    "inside of a side": ({"zip": {"datasets": {"b": BAD_SIDE}}}, [], "source.datasets.0.stages.1", "ops.0"),
    "inside of a group": (RANGE, [{"group_by_window": GROUPED}], "stages.0.reduce_func.stages.0", ""),
    "no dataset": (RANGE, [{"flat_map": {"stages": [{"batch": {"batch_size": 2}}]}}], "stages.0", ""),
    "a device": (RANGE, [{"prefetch_to_device": {"device": "/GPU:99"}}], "stages.0", ""),
    "a list": ({"python": {"function": "functions.py:a_list"}}, [], "source", ""),
    "a number": (RANGE, [{"apply": {"python": "functions.py:a_number"}}], "stages.0", ""),
    "a service": (RANGE, [{"distribute": {"processing_mode": "OFF", "service": "local"}}], "stages.0", ""),
    "a package": ({"tfds.load": {"name": "mnist", "split": "train"}}, [], "source", ""),
    "an array": ({"from_tensors": {"tensors": {"npy": "words.txt"}}}, [], "source", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_pinned_to_stage_and_call(folder: Path, name: str) -> None:
    source, stages, address, op_path = REFUSED[name]
    problem = refused(folder, source, *stages)
    assert (problem.address, problem.op_path, problem.kind) == (address, op_path, "spec")


@pytest.mark.parametrize("ops", [None, ["tf.identity", {"python": "functions.py:broken"}]])
def test_errors_of_python_code_show_the_users_lines(folder: Path, ops: Any) -> None:
    stage = {"map": {"python": "functions.py:broken"} if ops is None else {"ops": ops}}
    problem = refused(folder, RANGE, stage)
    assert (problem.address, problem.kind, problem.op_path) == ("stages.0", "python", "ops.1" if ops else "")
    line = 1 + FUNCTIONS.splitlines().index('    raise ValueError("no such thing")')
    assert problem.lines[-1] == f'{folder / "functions.py"}:{line} in broken: raise ValueError("no such thing")'
    (folder / "half.py").write_text("import nowhere_to_be_found\n")
    problem = refused(folder, RANGE, {"map": {"python": "half.py:f"}})
    assert problem.kind == "python"
    assert problem.lines == (f"{folder / 'half.py'}:1 in <module>: import nowhere_to_be_found",)


def test_what_fails_while_it_runs_names_its_call(folder: Path) -> None:
    stage = {"map": {"ops": ["tf.identity", "tf.io.decode_jpeg"]}}
    made = dataset(folder, {"from_tensors": {"tensors": "no picture"}}, stage)
    with pytest.raises(tf.errors.OpError) as caught:
        next(iter(made))
    assert call_path("stages_0", str(caught.value)) == "ops.1"


def test_what_an_older_tensorflow_lacks_is_refused_at_its_call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    element = {"from_tensors": {"tensors": {"array": {"shape": [6, 6, 3]}}}}

    def rot90(image: Any, name: str | None = None) -> Any:
        return image if name is None else name

    monkeypatch.setattr(tf.image, "rot90", rot90)
    for call, said in (({"tf.image.rot90": {"k": 2}}, "keyword argument 'k'"), ("tf.image.rot90", tf.__version__)):
        problem = refused(folder, element, {"map": {"ops": [call]}})
        assert (problem.address, problem.op_path) == ("stages.0", "ops.0")
        assert said in problem.message
        monkeypatch.delattr(tf.image, "rot90", raising=False)
