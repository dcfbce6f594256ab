"""Datasets from specs: values, names, structures, and errors pinned to their stage."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeprof.pipelines.addresses import find_address
from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import source_files

FUNCTIONS = """
import tensorflow as tf
import helper_beside

def double(x):
    if tf.reduce_sum(x) > 2:
        return x * 2
    return x

def pair(a, b):
    return {"sum": a + b, "b": b}

def is_even(x):
    return x % 2 == 0

def repeat_each(x):
    return tf.data.Dataset.from_tensors(x).repeat(helper_beside.TIMES)

def numbers(n):
    yield from range(n)

def broken(x):
    y = x
    raise ValueError("no such thing")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images, records, an array, a table and Python functions."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "helper_beside.py").write_text("TIMES = 2\n")
    for number in range(3):
        image = np.full((8, 6, 3), number * 40, np.uint8)
        (tmp_path / f"{number}.jpg").write_bytes(tf.io.encode_jpeg(image).numpy())
    for shard in range(2):
        with tf.io.TFRecordWriter(str(tmp_path / f"part-{shard}.tfrecord")) as writer:
            for number in range(3):
                writer.write(_example(shard * 10 + number))
    np.save(tmp_path / "x.npy", np.arange(12.0).reshape(4, 3))
    np.savez(tmp_path / "several.npz", a=np.arange(4), b=np.zeros(4))
    (tmp_path / "table.csv").write_text("number,word\n1,x\n2,y\n")
    return tmp_path


def _example(number: int) -> bytes:
    ids = tf.train.Feature(int64_list=tf.train.Int64List(value=[number] * (number % 3)))
    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
    return tf.train.Example(features=tf.train.Features(feature={"ids": ids, "label": label})).SerializeToString()


def dataset(folder: Path, **parts: Any) -> Any:
    spec = Spec.model_validate({"version": 1, **parts})
    context = BuildContext(folder, {"made": folder})
    load_arrays(spec, context)
    return build(spec, context)


def elements(folder: Path, **parts: Any) -> list[Any]:
    return list(dataset(folder, **parts).as_numpy_iterator())


def build_error(folder: Path, **parts: Any) -> BuildError:
    with pytest.raises(BuildError) as caught:
        dataset(folder, **parts)
    assert "\n" not in caught.value.message
    assert "{{" not in caught.value.message
    return caught.value


def test_images_are_read_decoded_and_resized(folder: Path) -> None:
    ops = ["tf.io.read_file", {"tf.io.decode_jpeg": {"channels": 3}}, {"tf.image.resize": {"size": [4, 4]}}]
    found = elements(
        folder,
        source={"list_files": {"file_pattern": "data:made/*.jpg", "shuffle": False}},
        stages=[{"map": {"ops": ops}}, {"batch": {"batch_size": 2}}, {"prefetch": {"buffer_size": "AUTOTUNE"}}],
    )
    assert [batch.shape for batch in found] == [(2, 4, 4, 3), (1, 4, 4, 3)]
    assert found[1].mean() == pytest.approx(80, abs=2)


def test_every_node_and_function_carries_its_address(folder: Path) -> None:
    made = dataset(
        folder,
        source={"list_files": {"file_pattern": "part-*.tfrecord", "shuffle": False}},
        stages=[
            {
                "interleave": {
                    "source": {"TFRecordDataset": {}},
                    "stages": [{"map": {"ops": [{"tf.strings.length": {}}]}}],
                    "cycle_length": 2,
                }
            },
            {"map": {"map_func": {"python": "functions.py:double"}, "num_parallel_calls": 2}},
        ],
    )
    graph_text = tf.raw_ops.DatasetToGraphV2(
        input_dataset=tf.data.experimental.to_variant(made), external_state_policy=1
    ).numpy()
    graph = tf.compat.v1.GraphDef.FromString(graph_text)
    names = {node.op: node.attr["metadata"].s for node in graph.node if "Dataset" in node.op}
    assert names["InterleaveDataset"].endswith(b"stages_0")
    assert names["ParallelMapDatasetV2"].endswith(b"stages_1")
    functions = {find_address(each.signature.name): each for each in graph.library.function}
    assert {"stages.0", "stages.0.stages.0", "stages.1"} <= set(functions)
    inner = {node.attr["metadata"].s for node in functions["stages.0"].node_def if "Dataset" in node.op}
    assert {name.rpartition(b"\x06")[2] or name for name in inner} != set()
    assert any(name.endswith(b"stages_0_source") for name in inner)
    assert any(node.name == "stages_0_stages_0/ops_0/StringLength" for node in functions["stages.0.stages.0"].node_def)
    assert all(node.name.startswith(("stages_1", "Identity", "NoOp")) for node in functions["stages.1"].node_def)


def test_structures_and_fields(folder: Path) -> None:
    tensors = {
        "x": {"npy": "x.npy", "mmap_mode": "r"},
        "y": [{"npz": "several.npz", "key": "a"}, {"array": {"shape": [4], "dtype": "int32", "fill": "arange"}}],
        "words": ["a", "b", "c", "d"],
    }
    ops = [
        {"tf.cast": {"on": "x", "dtype": "float32"}},
        {"tf.math.add": {"on": ["y.1", "y.1"], "to": "y.1"}},
        {"tf.strings.upper": {"on": "words", "to": "upper"}},
        {"tf.stack": {"on": ["words", "upper"], "to": "both"}},
        {"tf.random.uniform": {"shape": [2], "to": "noise"}},
    ]
    first = elements(folder, source={"from_tensor_slices": {"tensors": tensors}}, stages=[{"map": {"ops": ops}}])[3]
    assert first["x"].dtype == np.float32
    assert first["y"] == (3, 6)
    assert first["both"].tolist() == [b"d", b"D"]
    assert first["noise"].shape == (2,)


def test_tuples_are_rebuilt(folder: Path) -> None:
    source = {"from_tensor_slices": {"tensors": [{"npy": "x.npy"}, [1, 2, 3, 4]]}}
    stages = [
        {"map": {"ops": [{"tf.math.negative": {"on": 1}}]}},
        {"filter": {"ops": [{"tf.math.less": {"on": 1, "y": -2}}]}},
    ]
    found = elements(folder, source=source, stages=stages)
    assert [label for _, label in found] == [-3, -4]


def test_python_functions(folder: Path) -> None:
    source = {
        "from_generator": {
            "python": "functions.py:numbers",
            "args": [5],
            "output_signature": {"shape": [], "dtype": "int64"},
        }
    }
    stages = [
        {"filter": {"python": "functions.py:is_even"}},
        {"flat_map": {"python": "functions.py:repeat_each"}},
        {"map": {"python": "functions.py:double"}},
    ]
    assert elements(folder, source=source, stages=stages) == [0, 0, 2, 2, 8, 8]
    pairs = elements(
        folder,
        source={
            "from_tensor_slices": {
                "tensors": [{"array": {"shape": [2, 1], "dtype": "int32", "fill": "arange"}}, [3, 4]]
            }
        },
        stages=[{"map": {"python": "functions.py:pair"}}],
    )
    assert [element["sum"].tolist() for element in pairs] == [[3], [5]]


def test_records_with_feature_specs_and_padding(folder: Path) -> None:
    features = {
        "label": {"FixedLenFeature": {"shape": [], "dtype": "int64"}},
        "ids": {"RaggedFeature": {"dtype": "int64"}},
    }
    found = elements(
        folder,
        source={"TFRecordDataset": {"filenames": "part-*.tfrecord"}},
        stages=[
            {"map": {"ops": [{"tf.io.parse_single_example": {"features": features}}]}},
            {
                "padded_batch": {
                    "batch_size": 4,
                    "padded_shapes": {"label": [], "ids": [None]},
                    "padding_values": {"label": None, "ids": None},
                    "drop_remainder": True,
                }
            },
        ],
    )
    assert len(found) == 1
    assert found[0]["label"].tolist() == [0, 1, 2, 10]
    assert found[0]["ids"].tolist() == [[0, 0], [1, 0], [2, 2], [10, 0]]


def test_nested_pipelines_take_the_outer_element(folder: Path) -> None:
    found = elements(
        folder,
        source={"from_tensors": {"tensors": {"n": [3, 4], "other": 1}}},
        stages=[
            {"flat_map": {"source": {"from_tensor_slices": {"tensors": {"on": "n"}}}}},
            {"interleave": {"source": {"range": {}}, "stages": [{"take": {"count": 2}}], "cycle_length": 2}},
        ],
    )
    assert found == [0, 0, 1, 1]


def test_small_sources_and_stages(folder: Path) -> None:
    rows = elements(
        folder, source={"CsvDataset": {"filenames": "table.csv", "record_defaults": ["int32", "?"], "header": True}}
    )
    assert rows == [(1, b"x"), (2, b"y")]
    lines = elements(folder, source={"TextLineDataset": {"filenames": ["table.csv"]}}, stages=[{"skip": {"count": 1}}])
    assert lines == [b"1,x", b"2,y"]
    stages: list[Any] = [
        {"cache": None},
        {"shuffle": {"buffer_size": 9, "seed": 3}},
        {"repeat": {"count": 2}},
        {"batch": {"batch_size": 3}},
        {"unbatch": {}},
        {"take": {"count": 6}},
    ]
    assert sorted(elements(folder, source={"range": {"start": 1, "stop": 4}}, stages=stages)) == [1, 1, 2, 2, 3, 3]


def test_options_are_set(folder: Path) -> None:
    written = {
        "deterministic": False,
        "autotune": {"enabled": True, "ram_budget": "1GiB", "autotune_algorithm": "HILL_CLIMB"},
        "threading": {"private_threadpool_size": 3},
        "experimental_optimization": {"map_fusion": True},
        "experimental_external_state_policy": "WARN",
    }
    options = dataset(folder, source={"range": {"stop": 3}}, options=written).options()
    assert options.deterministic is False
    assert options.autotune.ram_budget == 2**30
    assert options.autotune.autotune_algorithm == tf.data.experimental.AutotuneAlgorithm.HILL_CLIMB
    assert options.threading.private_threadpool_size == 3
    assert options.experimental_optimization.map_fusion is True


def test_the_seed_settles_random_ops(folder: Path) -> None:
    parts: dict[str, Any] = {
        "source": {"range": {"stop": 5}},
        "stages": [{"map": {"ops": [{"tf.random.uniform": {"shape": []}}]}}],
    }
    first = elements(folder, **parts, measure={"seed": 5})
    assert elements(folder, **parts, measure={"seed": 5}) == first
    assert elements(folder, **parts, measure={"seed": 6}) != first


def test_arrays_are_loaded_once_and_apart(folder: Path) -> None:
    array = {"array": {"shape": [3, 2], "seed": 7}}
    spec = Spec.model_validate({"version": 1, "source": {"from_tensors": {"tensors": {"a": array, "b": array}}}})
    context = BuildContext(folder)
    load_arrays(spec, context)
    assert len(context.arrays) == 1
    (element,) = build(spec, context).as_numpy_iterator()
    np.testing.assert_array_equal(element["a"], next(iter(context.arrays.values())))


def test_source_files_are_those_that_are_read(folder: Path) -> None:
    spec = Spec.model_validate(
        {
            "version": 1,
            "source": {"TFRecordDataset": {"filenames": ["part-1.tfrecord", "part-*.tfrecord", "gs://far/away"]}},
            "stages": [{"map": {"ops": [{"tf.gather": {"params": {"npy": "x.npy"}}}]}}],
        }
    )
    names = [path.name for path in source_files(spec, folder, {})]
    assert names == ["part-1.tfrecord", "part-0.tfrecord", "x.npy"]


NESTED = {"source": {"TFRecordDataset": {}}, "stages": [{"map": {"ops": ["tf.io.decode_jpeg", "tf.strings.upper"]}}]}
RESIZE = {"tf.image.resize": {"size": [4, 4]}}
IMAGES = {"list_files": {"file_pattern": "*.jpg"}}


@pytest.mark.parametrize(
    ("stages", "address", "op_index", "part"),
    [
        ([{"map": {"ops": ["tf.io.read_file", RESIZE]}}], "stages.0", 1, "3 or 4 dimensions"),
        ([{"batch": {"batch_size": 2}}, {"map": {"ops": ["tf.io.read_file"]}}], "stages.1", 0, "rank 0 but is rank 1"),
        ([{"map": {"ops": [{"tf.strings.upper": {"on": "image"}}]}}], "stages.0", 0, "single tensor"),
        ([{"unbatch": {}}], "stages.0", None, "unbatch"),
        ([{"filter": {"ops": ["tf.strings.length"]}}], "stages.0", 0, "expected a single bool"),
        ([{"flat_map": NESTED}], "stages.0.stages.0", 1, "uint8"),
        ([{"padded_batch": {"batch_size": 2, "padded_shapes": [[], []]}}], "stages.0", None, "Padded shape"),
    ],
)  # fmt: skip
def test_what_tensorflow_refuses_is_pinned(
    folder: Path, stages: Any, address: str, op_index: int | None, part: str
) -> None:
    problem = build_error(folder, source=IMAGES, stages=stages)
    assert (problem.address, problem.op_index, problem.kind) == (address, op_index, "spec")
    assert part in problem.message


def test_errors_of_python_code_show_the_users_lines(folder: Path) -> None:
    problem = build_error(folder, source={"range": {"stop": 3}}, stages=[{"map": {"python": "functions.py:broken"}}])
    assert (problem.address, problem.kind) == ("stages.0", "python")
    assert problem.message == "ValueError: no such thing"
    line = 1 + FUNCTIONS.splitlines().index('    raise ValueError("no such thing")')
    assert problem.lines[-1] == f'{folder / "functions.py"}:{line} in broken: raise ValueError("no such thing")'


def test_errors_while_a_python_file_is_imported(folder: Path) -> None:
    (folder / "half.py").write_text(
        textwrap.dedent("""
        import nowhere_to_be_found
        def f(x):
            return x
        """)
    )
    problem = build_error(folder, source={"range": {"stop": 3}}, stages=[{"map": {"python": "half.py:f"}}])
    assert problem.kind == "python"
    assert "nowhere_to_be_found" in problem.message
    assert problem.lines == (f"{folder / 'half.py'}:2 in <module>: import nowhere_to_be_found",)


def test_a_broken_array_is_pinned(folder: Path) -> None:
    (folder / "x.npy").write_bytes(b"not an array")
    problem = build_error(folder, source={"from_tensors": {"tensors": {"npy": "x.npy"}}})
    assert problem.address == "source"


@pytest.mark.parametrize(
    ("array", "held"),
    [
        ({"array": {"shape": [4, 2], "dtype": "float32"}}, [("float32", 32)]),
        ({"npy": "x.npy"}, [("float64", 96)]),
        ({"npz": "several.npz", "key": "a"}, [("int64", 32)]),
        ({"csv": "columns.csv"}, [("int64", 24), ("float64", 24), ("str32", 12)]),
        ({"lines": "columns.csv"}, [("str224", 112)]),
        ({"ragged": [[1, 2, 3], [], [4]], "dtype": "int32"}, [("int32", 16), ("int64", 32)]),
        (
            {"sparse": {"indices": [[0, 0], [1, 2]], "values": [1.0, 2.0], "dense_shape": [3, 4], "dtype": "float32"}},
            [("int64", 32), ("float32", 8), ("int64", 16)],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_every_kind_of_array_holds_is_known(
    array: dict[str, Any], held: list[tuple[str, int]], folder: Path
) -> None:
    """A run counts them before it makes the dataset: a kind that it could not count would end it."""
    (folder / "columns.csv").write_text("n,x,t\n1,0.5,a\n2,1.5,b\n3,2.5,c\n")
    spec = Spec.model_validate({"version": 1, "source": {"from_tensor_slices": {"tensors": array}}})
    context = BuildContext(base_dir=folder)
    load_arrays(spec, context)
    assert context.held() == held
