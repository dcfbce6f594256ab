"""Paths of a spec: what is missing, and what is found."""

from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.data.recipes import recipe_of
from pipeprof.pipelines.spec.paths import PathError, PathProblem, expand, missing_files, resolve_pattern, source_files
from pipeprof.pipelines.units import parse_duration, parse_size


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    odd = tmp_path / "with [odd] * name"
    odd.mkdir()
    for name in ("a-0.tfrecord", "a-1.tfrecord", "b[1].tfrecord", "x.npy"):
        (odd / name).write_bytes(b"")
    (odd / "functions.py").write_text("def f(x): ...\n")
    return odd


def missing(folder: Path, source: Any, **parts: Any) -> list[PathProblem]:
    recipes = {name: recipe_of(entry) for name, entry in parts.get("data", {}).items()}
    return list(missing_files({"source": source, **parts}, recipes, folder))


def problems(folder: Path, source: Any, **parts: Any) -> list[tuple[Any, str]]:
    return [(problem.address, problem.got) for problem in missing(folder, source, **parts)]


def test_what_exists_is_no_problem(folder):
    files = {"filenames": ["a-*.tfrecord", "b[1].tfrecord", "gs://bucket/x-*", str(folder / "a-0.tfrecord")]}
    parts = {"stages": [{"map": {"python": "functions.py:f"}}], "step": {"python": "functions.py:f"}}
    assert problems(folder, {"TFRecordDataset": files}, **parts) == []


def test_every_missing_path_stands_at_its_place(folder):
    text = {"TextLineDataset": {"filenames": "c.txt"}}
    stages = [
        {"map": {"ops": [{"tf.gather": {"params": {"npy": "y.npy"}}}]}},
        {"interleave": {"map_func": {"python": "functions.py:g"}}},
        {"flat_map": {"source": text}},
        {"concatenate": {"dataset": {"source": {"zip": {"datasets": {"a": {"source": text}}}}}}},
        {"group_by_window": {"key_func": {"ops": []}, "reduce_func": {"python": "function.py:f"}}},
    ]
    zipped = ("zip", "datasets", "a", "source")
    found = problems(folder, {"TFRecordDataset": {"filenames": ["a-0.tfrecord", "c-*.tfrecord"]}}, stages=stages)
    assert found == [
        (("source", "TFRecordDataset", "filenames", 1), "c-*.tfrecord"),
        (("stages", 0, "map", "ops", 0, "tf.gather", "params", "npy"), "y.npy"),
        (("stages", 1, "interleave", "map_func", "python"), "functions.py:g"),
        (("stages", 2, "flat_map", "source", "TextLineDataset", "filenames"), "c.txt"),
        (("stages", 3, "concatenate", "dataset", "source", *zipped, "TextLineDataset", "filenames"), "c.txt"),
        (("stages", 4, "group_by_window", "reduce_func", "python"), "function.py:f"),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "a-2.tfrecord", "z*", "../with [odd] * name", "data:photo/*", "data:photos/*.jpg", "data:photos", "data:rows",
        "data:rows/.",
    ],
)  # fmt: skip
def test_what_is_missing_has_candidates(folder, path):
    data = {"photos": {"image_folder": {"count": 6, "classes": 2}}, "rows": {"npy": {"shape": [4]}}}
    (problem,) = missing(folder, {"list_files": {"file_pattern": path}}, data=data)
    assert (problem.got, bool(problem.candidates)) == (path, True)


def test_globs_are_sorted_and_wildcards_above_them_are_not_globs(folder):
    found = source_files({"source": {"TFRecordDataset": {"filenames": ["a-1.tfrecord", "a-*"]}}}, folder, {})
    assert [path.name for path in found] == ["a-1.tfrecord", "a-0.tfrecord"]
    assert expand("b[1].tfrecord", folder, {}) == [str(folder / "b[1].tfrecord")]
    made = expand("data:made/a-*", Path("/nowhere"), {"made": folder})
    assert [Path(file).name for file in made] == ["a-0.tfrecord", "a-1.tfrecord"]
    assert resolve_pattern("a-*", folder, {}).endswith("with [[]odd] [*] name/a-*")
    with pytest.raises(PathError, match="no input 'gone'"):
        expand("data:gone/a", folder, {})


def test_durations_and_sizes():
    written = {"12ms": 0.012, "1.5s": 1.5, "400us": 4e-4, "400µs": 4e-4, " 2 min ": 120, 0: 0}
    assert [parse_duration(text) for text in written] == pytest.approx([*written.values()])
    sizes = {"8GiB": 8 << 30, "500MB": 500_000_000, "1.5kB": 1500, 7: 7, "2 KiB": 2048}
    assert [parse_size(text) for text in sizes] == [*sizes.values()]


@pytest.mark.parametrize("wrong", ["12 parsecs", "ms", "-1ms", True, None, "1.2.3s"])
def test_wrong_durations_and_sizes(wrong):
    with pytest.raises(ValueError, match="expected"):
        parse_duration(wrong)
    with pytest.raises(ValueError, match="expected"):
        parse_size(wrong)


def test_synthesised_inputs_are_checked_without_a_file(folder):
    photos = {"photos": {"image_folder": {"count": 4, "size": [8, 8], "classes": 2}}}
    for path in ("data:photos/*/*.jpg", "data:photos/class_1/*", "data:photos/**/00003.jpg"):
        assert problems(folder, {"list_files": {"file_pattern": path}}, data=photos) == []
    places = [("source", "image_dataset_from_directory", "directory")]
    directories = {
        "data:photos": False, "data:photos/": False, "data:photo": True, "data:photos/nothing": True,
        str(folder): False, "gs://bucket/images": False, "a-0.tfrecord": True, "images": True,
    }  # fmt: skip
    for directory, wrong in directories.items():
        found = missing(folder, {"image_dataset_from_directory": {"directory": directory}}, data=photos)
        assert [problem.address for problem in found] == (places if wrong else []), directory
