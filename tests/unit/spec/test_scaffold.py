"""First specs: valid, commented, and right about any file name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.data.look import (
    ArraysFound,
    CsvColumn,
    CsvFound,
    Feature,
    ImagesFound,
    RecordsFound,
    SavedArray,
)
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.check import find_faults
from pipeprof.pipelines.spec.scaffold import example_spec, spec_for
from pipeprof.pipelines.spec.spec import spec_of
from pipeprof.pipelines.spec.yaml_text import read

BASE = Path("/home/base")
PHOTOS, JPEG = ("/home/base/photos/*/*.jpg",), "tf.io.decode_jpeg"
FEATURES = (
    Feature("height", "int64", 1),
    Feature("ids", "int64", None),
    Feature("image", "string", 1, "tf.io.decode_png"),
    Feature("image/encoded", "string", 1, JPEG),
    Feature("no", "float32", 4),
)
COLUMNS = tuple(
    CsvColumn(name, dtype, gaps)
    for name, dtype, gaps in (
        ("id", "int64", False),
        ("x", "float32", True),
        ("n", "int32", True),
        ("s", "string", True),
    )
)
WIDE = tuple(CsvColumn(f"column {n}", "float32", False) for n in range(60))
ARRAYS = SavedArray("x", (5000, 100, 100), "float32", 200_000_000), SavedArray("no", (5000,), "int64", 40_000)
FOUND = {
    "images": ImagesFound(PHOTOS, 600, JPEG),
    "images-of-classes": ImagesFound(PHOTOS, 600, JPEG, ("a b", "cat", "no", "it's")),
    "images-several": ImagesFound(("/data/a/*.JPG", "/data/a/*.png"), 2, JPEG),
    "records": RecordsFound(("/home/base/shards/*.tfrecord",), 8, "GZIP", FEATURES, 20),
    "records-raw": RecordsFound(("/home/base/a.rec",), 1, "", (), 3),
    "csv": CsvFound(("/home/base/t.csv",), 1, ";", True, COLUMNS),
    "csv-wide": CsvFound(("/home/base/t.csv",), 1, ",", False, WIDE),
    "npy": ArraysFound(Path("/home/base/x.npy"), (SavedArray(None, (60000, 28, 28), "uint8", 47_040_000),)),
    "npz": ArraysFound(Path("/elsewhere/x.npz"), ARRAYS, ("mean", "std")),
}


def parsed(text):
    """The spec as pipeprof reads it, and its plain data."""
    assert text.splitlines()[0].startswith("# A tf.data pipeline")
    assert text.endswith("\n")
    document = read(text)
    assert document.problems == []
    assert [fault for fault in find_faults(document.data, BASE) if fault.code != "missing-file"] == []
    return spec_of(document.data), document.data


@pytest.mark.parametrize("name", FOUND)
def test_specs_for_found_files(name, golden):
    text = spec_for(FOUND[name], name, BASE)
    parsed(text)
    golden(f"init/{name}.yaml", text)


def test_the_example_runs_on_generated_data(golden):
    spec, _ = parsed(example_spec())
    assert list(spec.data) == ["photos"]
    golden("init/example.yaml", example_spec())


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."}
)


@given(NAMES)
def test_any_file_name_comes_out_of_the_yaml_as_it_went_in(name):
    spec, data = parsed(spec_for(ArraysFound(BASE / name, FOUND["npy"].arrays), name, BASE))
    path = data["source"]["from_tensor_slices"]["tensors"]["npy"]
    assert BASE / path == BASE / name
    assert not path.startswith(("~", "data:"))
    if name.strip():
        assert spec.name == name


@given(NAMES, NAMES, NAMES)
def test_any_name_is_fine_for_features_keys_and_columns(first, second, third):
    features = tuple(Feature(name, "string", 1, JPEG) for name in sorted({first, second}))
    _, data = parsed(spec_for(RecordsFound(("/a/*",), 1, "", features, 1), "n", BASE))
    assert list(data["stages"][1]["map"]["ops"][0]["tf.io.parse_single_example"]["features"]) == sorted({first, second})
    keys = tuple(SavedArray(name, (3,), "int8", 3) for name in sorted({first, second}))
    _, data = parsed(spec_for(ArraysFound(BASE / "x.npz", keys), "n", BASE))
    assert list(data["source"]["from_tensor_slices"]["tensors"]) == sorted({first, second})
    column = CsvColumn(third, "string", False)
    parsed(spec_for(CsvFound(("/a",), 1, "\t", True, (column, column)), "n", BASE))


def test_names_that_are_no_unicode_are_refused():
    with pytest.raises(UsageError, match=r"the file name 'x\\xff.npy' is not valid Unicode"):
        spec_for(ArraysFound(BASE / "x\udcff.npy", FOUND["npy"].arrays), "n", BASE)


def test_patterns_are_relative_to_the_spec_also_below_folders_with_wildcards_in_their_names(tmp_path, monkeypatch):
    odd = tmp_path / "a[1]"
    odd.mkdir()
    monkeypatch.chdir(odd)
    for pattern, base, expected in [
        ("p/*.jpg", odd, "p/*.jpg"),
        (f"{tmp_path}/a[[]1]/p/*.jpg", tmp_path, "a[[]1]/p/*.jpg"),
        (f"{tmp_path}/q/*.jpg", odd, "../q/*.jpg"),
        ("data:x/*.jpg", odd, "./data:x/*.jpg"),
        # TensorFlow takes a backslash for an escape, Python does not: any one letter suits both.
        ("a\\b/*.jpg", odd, "a?b/*.jpg"),
        ("~x/*.jpg", odd, f"{tmp_path}/a[[]1]/~x/*.jpg"),
    ]:
        _, data = parsed(spec_for(ImagesFound((pattern,), 1, JPEG), "n", base))
        assert data["source"]["list_files"]["file_pattern"] == expected
