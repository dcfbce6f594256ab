"""Sources that read files, folders, databases and what others have made, and arrays: first elements and errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import missing_files, source_files

FUNCTIONS = """
import tensorflow as tf

def made():
    return tf.data.Dataset.range(3).map(lambda x: x * 2)

def a_list():
    return [1, 2]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, texts and sounds in folders of their class, tables, records, a database and a saved dataset."""
    top = tmp_path_factory.mktemp("sources")
    (top / "functions.py").write_text(FUNCTIONS)
    for kind in ("cat", "dog"):
        for form in ("images", "texts", "sounds"):
            (top / form / kind).mkdir(parents=True)
        for number in range(2):
            image = tf.io.encode_png(np.full((4, 6, 3), 10 * number, np.uint8)).numpy()
            (top / "images" / kind / f"{number}.png").write_bytes(image)
            (top / "texts" / kind / f"{number}.txt").write_text(f"{kind} {number}")
            sound = tf.audio.encode_wav(tf.zeros([16, 1]), 8000).numpy()
            (top / "sounds" / kind / f"{number}.wav").write_bytes(sound)
    (top / "table.csv").write_text("number,size,word\n1,0.5,x\n2,,y\n3,1.5,x\n")
    (top / "words.txt").write_text("one\ntwo\n")
    (top / "fixed.bin").write_bytes(b"HEAD" + b"abc" + b"def" + b"!")
    with tf.io.TFRecordWriter(str(top / "examples.tfrecord")) as writer:
        for number in range(3):
            value = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
            features = tf.train.Features(feature={"a": value, "b": value})
            writer.write(tf.train.Example(features=features).SerializeToString())
    with sqlite3.connect(top / "rows.sqlite") as connection:
        connection.execute("create table rows (a integer, b text)")
        connection.executemany("insert into rows values (?, ?)", [(1, "x"), (2, "y")])
    tf.data.Dataset.range(4).save(str(top / "saved"))
    return top


def checked(source: Any, *stages: Any) -> Spec:
    return Spec.model_validate({"version": 1, "source": source, "stages": list(stages)})


def dataset(folder: Path, source: Any, *stages: Any) -> Any:
    spec = checked(source, *stages)
    assert not missing_files(spec, folder)
    context = BuildContext(folder)
    load_arrays(spec, context)
    return build(spec, context)


def plain(value: Any) -> Any:
    if isinstance(value, tf.RaggedTensor):
        return value.to_list()
    if isinstance(value, tf.SparseTensor):
        return tf.sparse.to_dense(value).numpy().tolist()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return tuple(plain(inner) for inner in value)
    found = value.numpy()
    return found if isinstance(found, bytes) else found.tolist()


def elements(folder: Path, source: Any, *stages: Any) -> list[Any]:
    return [plain(element) for element in dataset(folder, source, *stages).take(9)]


TWO = {"take": {"count": 2}}
CASES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "FixedLengthRecordDataset": (
        {
            "FixedLengthRecordDataset": {
                "filenames": "fixed.bin",
                "record_bytes": 3,
                "header_bytes": 4,
                "footer_bytes": 1,
            }
        },
        [],
        [b"abc", b"def"],
    ),
    "counter": ({"counter": {"start": 3, "step": 2, "dtype": "int32"}}, [TWO], [3, 5]),
    "SqlDataset": (
        {
            "SqlDataset": {
                "driver_name": "sqlite",
                "data_source_name": "rows.sqlite",
                "query": "select * from rows",
                "output_types": ["int64", "string"],
            }
        },
        [],
        [(1, b"x"), (2, b"y")],
    ),
    "make_csv_dataset": (
        {
            "make_csv_dataset": {
                "file_pattern": "*.csv",
                "batch_size": 2,
                "label_name": "word",
                "select_columns": ["number", "word"],
                "num_epochs": 1,
                "shuffle": False,
            }
        },
        [],
        [({"number": [1, 2]}, [b"x", b"y"]), ({"number": [3]}, [b"x"])],
    ),
    "make_csv_dataset with types": (
        {
            "make_csv_dataset": {
                "file_pattern": "table.csv",
                "batch_size": 3,
                "column_defaults": ["float32", -1.0, ""],
                "shuffle": False,
            }
        },
        [{"take": {"count": 1}}],
        [{"number": [1, 2, 3], "size": [0.5, -1, 1.5], "word": [b"x", b"y", b"x"]}],
    ),
    "make_batched_features_dataset": (
        {
            "make_batched_features_dataset": {
                "file_pattern": "examples.tfrecord",
                "batch_size": 2,
                "features": {
                    "a": {"FixedLenFeature": {"shape": [], "dtype": "int64"}},
                    "b": {"FixedLenFeature": {"shape": [], "dtype": "int64"}},
                },
                "reader": "TFRecordDataset",
                "reader_args": [""],
                "label_key": "b",
                "num_epochs": 1,
                "shuffle": False,
            }
        },
        [],
        [({"a": [0, 1]}, [0, 1]), ({"a": [2]}, [2])],
    ),
    "load": ({"load": {"path": "saved"}}, [], [0, 1, 2, 3]),
    "load with stages that read": (
        {
            "load": {
                "path": "saved",
                "element_spec": {"shape": [], "dtype": "int64"},
                "reader_func": {"stages": [{"flat_map": {"stages": []}}]},
            }
        },
        [],
        [0, 1, 2, 3],
    ),
    "python": ({"python": {"function": "functions.py:made"}}, [], [0, 2, 4]),
    "text_dataset_from_directory": (
        {"text_dataset_from_directory": {"directory": "texts", "batch_size": 4, "shuffle": False, "max_length": 10}},
        [],
        [([b"cat 0", b"cat 1", b"dog 0", b"dog 1"], [0, 0, 1, 1])],
    ),
    "text without labels, one by one": (
        {
            "text_dataset_from_directory": {
                "directory": "texts/dog",
                "labels": None,
                "label_mode": None,
                "batch_size": None,
                "shuffle": False,
            }
        },
        [],
        [b"dog 0", b"dog 1"],
    ),
    "timeseries_dataset_from_array": (
        {
            "timeseries_dataset_from_array": {
                "data": {"array": {"shape": [5], "dtype": "int32", "fill": "arange"}},
                "targets": {"array": {"shape": [5], "dtype": "int32", "fill": "arange"}},
                "sequence_length": 2,
                "sequence_stride": 2,
                "batch_size": 3,
            }
        },
        [],
        [([[0, 1], [2, 3]], [0, 2])],
    ),
    "names of files": (
        {"from_tensor_slices": {"tensors": {"files": "texts/*/*.txt"}}},
        [{"map": {"ops": ["tf.io.read_file"]}}],
        [b"cat 0", b"cat 1", b"dog 0", b"dog 1"],
    ),
    "lines": ({"from_tensor_slices": {"tensors": [{"lines": "words.txt"}, [1, 2]]}}, [], [(b"one", 1), (b"two", 2)]),
    "ragged": (
        {"from_tensor_slices": {"tensors": {"x": {"ragged": [[1], [], [2, 3]], "dtype": "int32"}}}},
        [],
        [{"x": [1]}, {"x": []}, {"x": [2, 3]}],
    ),
    "sparse": (
        {
            "from_tensor_slices": {
                "tensors": {"sparse": {"indices": [[0, 1], [1, 0]], "values": [7, 8], "dense_shape": [2, 2]}}
            }
        },
        [],
        [[0, 7], [8, 0]],
    ),
    "a component called files": ({"from_tensors": {"tensors": {"files": 3}}}, [], [{"files": 3}]),
}


@pytest.mark.parametrize("name", CASES)
def test_elements_are_tensorflows(folder: Path, name: str) -> None:
    source, stages, expected = CASES[name]
    assert elements(folder, source, *stages) == expected


def test_columns_of_a_table(folder: Path) -> None:
    found = dataset(folder, {"from_tensor_slices": {"tensors": {"csv": "table.csv"}}})
    assert {key: spec.dtype.name for key, spec in found.element_spec.items()} == {
        "number": "int64",
        "size": "float64",
        "word": "string",
    }
    rows = list(found.as_numpy_iterator())
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert np.isnan(rows[1]["size"])


def test_images_and_sounds_in_folders(folder: Path) -> None:
    images = dataset(
        folder,
        {
            "image_dataset_from_directory": {
                "directory": "images",
                "image_size": [3, 3],
                "batch_size": 3,
                "shuffle": False,
                "color_mode": "grayscale",
                "class_names": ["dog", "cat"],
            }
        },
    )
    batch, labels = next(iter(images))
    assert batch.shape == (3, 3, 3, 1)
    assert labels.numpy().tolist() == [0, 0, 1]
    sounds = dataset(folder, {"audio_dataset_from_directory": {"directory": "sounds", "output_sequence_length": 8}})
    assert next(iter(sounds))[0].shape == (4, 8, 1)


def test_random_numbers(folder: Path) -> None:
    source = {"random": {"seed": 3, "rerandomize_each_iteration": False}}
    assert elements(folder, source, TWO) == elements(folder, source, TWO)


def test_ragged_and_sparse_signatures(folder: Path) -> None:
    (folder / "generators.py").write_text(
        "import tensorflow as tf\ndef g():\n    yield tf.ragged.constant([[1], [2, 3]]), tf.sparse.from_dense([0, 5])\n"
    )
    signature = [{"ragged": {"shape": [2, None], "dtype": "int32"}}, {"sparse": {"shape": [2], "dtype": "int32"}}]
    made = {"from_generator": {"python": "generators.py:g", "output_signature": signature}}
    assert elements(folder, made) == [([[1], [2, 3]], [0, 5])]


def test_folders_count_as_source_files(folder: Path) -> None:
    spec = checked({"image_dataset_from_directory": {"directory": "images"}})
    found = [str(path) for path in source_files(spec, folder, {})]
    assert len(found) == 4
    assert len(source_files(checked({"from_tensors": {"tensors": {"csv": "table.csv"}}}), folder, {})) == 1


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ({"python": {"function": "functions.py:a_list"}}, "functions.py:a_list returned list"),
        ({"load": {"path": "texts"}}, "not found"),
        ({"tfds.load": {"name": "mnist", "split": "train"}}, "pip install tensorflow-datasets"),
        ({"timeseries_dataset_from_array": {"data": [1], "targets": None, "sequence_length": 2}}, ""),
        ({"image_dataset_from_directory": {"directory": "texts"}}, "No images found"),
    ],
)
def test_what_cannot_be_read_is_pinned(folder: Path, source: Any, part: str) -> None:
    with pytest.raises(BuildError) as caught:
        dataset(folder, source)
    assert caught.value.address == "source"
    assert part in caught.value.message


@pytest.mark.parametrize(
    ("source", "place", "part"),
    [
        ({"load": {"path": "saves"}}, ("source", "load", "path"), "no such folder"),
        ({"load": {"path": "words.txt"}}, ("source", "load", "path"), "words.txt is a file: expected a folder"),
        (
            {"from_tensors": {"tensors": {"x": {"lines": "word.txt"}}}},
            ("source", "from_tensors", "tensors", "x", "lines"),
            "no such file",
        ),
        (
            {"from_tensors": {"tensors": {"files": ["*.jpeg"]}}},
            ("source", "from_tensors", "tensors", "files", 0),
            "no file matches",
        ),
        (
            {"zip": {"datasets": [{"source": {"python": {"function": "functions.py:nobody"}}}]}},
            ("source", "zip", "datasets", 0, "source", "python", "function"),
            "defines made, a_list",
        ),
    ],
)
def test_paths_that_lead_nowhere(folder: Path, source: Any, place: tuple[str | int, ...], part: str) -> None:
    found = missing_files(checked(source), folder)
    assert [problem.address for problem in found] == [place]
    assert part in found[0].message
