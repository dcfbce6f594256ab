"""Values and paths as a spec writes them."""

from pathlib import Path

import pytest

from pipeprof.pipelines.from_python.literals import Folders, column_defaults, literal, shortest, tensors
from pipeprof.pipelines.from_python.records import (
    Array,
    Dtype,
    NotExpressible,
    Opaque,
    RecordedFeature,
    RecordedFunction,
    RecordedSpec,
    Shape,
)

FOLDERS = Folders(Path("/code/specs"), Path("/code"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, [2, None]), [1, [2, None]]),
        (Dtype("uint8"), "uint8"),
        (Shape((None, 3)), [None, 3]),
        (RecordedSpec("dense", (2,), "int64"), {"shape": [2], "dtype": "int64"}),
        (
            RecordedSpec("ragged", (None, None), "int64", 1),
            {"ragged": {"shape": [None, None], "dtype": "int64", "ragged_rank": 1}},
        ),
        (
            RecordedFeature("FixedLenFeature", {"shape": [], "dtype": Dtype("string")}),
            {"FixedLenFeature": {"shape": [], "dtype": "string"}},
        ),
        (Array("float32", (2,), [0.4850000143051147, 0.5]), [0.485, 0.5]),
        (Array("int64", (), 7), 7),
    ],
)
def test_literals(value, expected):
    assert literal(value, FOLDERS) == expected


@pytest.mark.parametrize("value", [Opaque("a tf.Variable"), Shape(None), RecordedFunction("f"), Array("int8", (9000,))])
def test_what_cannot_be_written_says_why(value):
    with pytest.raises(NotExpressible):
        literal(value, FOLDERS)


def test_short_decimals_are_the_same_numbers():
    assert shortest([0.10000000149011612, 1.0, 3.4028234663852886e38]) == [0.1, 1.0, 3.4028235e38]


def test_arrays_of_a_source():
    made = Array("int64", (3,), [0, 1, 2], {"shape": [3], "dtype": "int64", "fill": "arange"}, number=1)
    large = Array("float32", (500, 4), None, number=2)
    assert tensors(made, FOLDERS) == {"array": {"shape": [3], "dtype": "int64", "fill": "arange"}}
    assert tensors(Array("int32", (2,), [5, 6]), FOLDERS) == [5, 6]
    with pytest.raises(NotExpressible, match="--save-arrays"):
        tensors((large, made), FOLDERS)
    saving = Folders(FOLDERS.spec, FOLDERS.here, {}, "train")
    assert tensors((large, made), saving)[0] == {"npy": "train_1.npy"}
    assert saving.saved == {2: "train_1.npy"}
    loaded = Array("float32", (500, 4), None, file={"npy": "data/x.npy", "mmap_mode": "r"})
    assert tensors(loaded, FOLDERS) == {"npy": "../data/x.npy", "mmap_mode": "r"}


def test_a_dtype_that_literals_do_not_have_is_not_written_as_one():
    with pytest.raises(NotExpressible, match="int64"):
        tensors(Array("int64", (2,), [5, 6]), FOLDERS)


def test_two_short_lists_would_be_one_array():
    with pytest.raises(NotExpressible, match="single array"):
        tensors(([1, 2], [3, 4]), FOLDERS)


def test_paths_are_relative_where_they_were_or_lie_below_the_spec():
    assert FOLDERS.path("photos/*.jpg") == "../photos/*.jpg"
    assert FOLDERS.path("/code/specs/a.txt") == "a.txt"
    assert FOLDERS.path("/data/a.txt") == "/data/a.txt"
    assert FOLDERS.path("gs://bucket/a-*") == "gs://bucket/a-*"
    assert FOLDERS.path("specs/a:b") == "./a:b"
    assert FOLDERS.reference("/code/input.py:train") == "../input.py:train"


def test_names_that_a_glob_gives_are_written_as_one(tmp_path):
    folders = Folders(tmp_path, tmp_path)
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert folders.files(["a/1.jpg", "a/2.jpg"]) == "a/*.jpg"
    assert folders.files(["a/1.jpg", "a/2.jpg", "b/1.jpg"]) == "*/*.jpg"
    assert folders.files(["a/2.jpg", "a/1.jpg"]) == ["a/2.jpg", "a/1.jpg"]
    assert folders.files(["b/1.jpg"]) == "b/1.jpg"
    assert tensors(["a/1.jpg", "a/2.jpg", "b/1.jpg"], folders) == {"files": "*/*.jpg"}


def test_defaults_of_columns_are_values_or_dtypes():
    written = column_defaults([[0.5], "", Array("int64", (1,), [3]), Array("float32", (0,), [])], FOLDERS)
    assert written == [0.5, "", 3, "float32"]
