"""Paths of a spec: what is missing, and what is found."""

from __future__ import annotations

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


def test_what_exists_is_no_problem(folder: Path) -> None:
    files = {"filenames": ["a-*.tfrecord", "b[1].tfrecord", "gs://bucket/x-*", str(folder / "a-0.tfrecord")]}
    parts = {"stages": [{"map": {"python": "functions.py:f"}}], "step": {"python": "functions.py:f"}}
    assert problems(folder, {"TFRecordDataset": files}, **parts) == []


def test_every_missing_path_stands_at_its_place(folder: Path) -> None:
    stages = [
        {"map": {"ops": [{"tf.gather": {"params": {"npy": "y.npy"}}}]}},
        {"interleave": {"map_func": {"python": "functions.py:g"}}},
        {"flat_map": {"source": {"TextLineDataset": {"filenames": "c.txt"}}}},
        {"filter": {"predicate": {"python": "function.py:f"}}},
    ]
    found = problems(folder, {"TFRecordDataset": {"filenames": ["a-0.tfrecord", "c-*.tfrecord"]}}, stages=stages)
    assert found == [
        (("source", "TFRecordDataset", "filenames", 1), "c-*.tfrecord"),
        (("stages", 0, "map", "ops", 0, "tf.gather", "params", "npy"), "y.npy"),
        (("stages", 1, "interleave", "map_func", "python"), "functions.py:g"),
        (("stages", 2, "flat_map", "source", "TextLineDataset", "filenames"), "c.txt"),
        (("stages", 3, "filter", "predicate", "python"), "function.py:f"),
    ]


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("a-2.tfrecord", "no such file"),
        ("z*", "no file matches"),
        ("../with [odd] * name", "is a folder: expected files"),
        ("data:photo/*", "(defined there: photos)"),
        (
            "data:photos/*.jpg",
            "no match among the 6 files that `data: photos` generates, such as data:photos/class_0/00000.jpg",
        ),
        ("data:photos", "no match"),
    ],
)
def test_messages(folder: Path, path: str, part: str) -> None:
    data = {"photos": {"image_folder": {"count": 6, "classes": 2}}}
    (problem,) = missing(folder, {"list_files": {"file_pattern": path}}, data=data)
    assert part in problem.message
    assert problem.candidates


@pytest.mark.parametrize("path", ["data:photos/*/*.jpg", "data:photos/class_1/*", "data:photos/**/00003.jpg"])
def test_synthesised_inputs_are_checked_without_a_file(folder: Path, path: str) -> None:
    data = {"photos": {"image_folder": {"count": 6, "classes": 2}}}
    assert problems(folder, {"list_files": {"file_pattern": path}}, data=data) == []


def test_globs_are_sorted_and_wildcards_above_them_are_not_globs(folder: Path) -> None:
    assert [Path(file).name for file in expand("a-*", folder, {})] == ["a-0.tfrecord", "a-1.tfrecord"]
    assert expand("b[1].tfrecord", folder, {}) == [str(folder / "b[1].tfrecord")]
    assert [Path(file).name for file in expand("data:made/a-*", Path("/nowhere"), {"made": folder})] == [
        "a-0.tfrecord",
        "a-1.tfrecord",
    ]
    assert resolve_pattern("a-*", folder, {}).endswith("with [[]odd] [*] name/a-*")
    with pytest.raises(PathError, match="no input 'gone'"):
        expand("data:gone/a", folder, {})


def test_source_files(folder: Path) -> None:
    found = source_files({"source": {"TFRecordDataset": {"filenames": ["a-1.tfrecord", "a-*"]}}}, folder, {})
    assert [path.name for path in found] == ["a-1.tfrecord", "a-0.tfrecord"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("12ms", 0.012), ("1.5s", 1.5), ("400us", 4e-4), ("400µs", 4e-4), (" 2 min ", 120), (0, 0)]
)
def test_durations(text: Any, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("8GiB", 8 << 30), ("500MB", 500_000_000), ("1.5kB", 1500), (7, 7), ("2 KiB", 2048)]
)
def test_sizes(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("wrong", ["12", 12, "ms", "-1ms", "1 fortnight", True, None, "1.2.3s"])
def test_wrong_durations_and_sizes(wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(wrong)
    if wrong != "12" and wrong != 12:
        with pytest.raises(ValueError, match="expected a size"):
            parse_size(wrong)


def test_folders_of_synthesised_inputs(folder: Path) -> None:
    photos = {"photos": {"image_folder": {"count": 4, "size": [8, 8], "classes": 2}}}
    places = [("source", "image_dataset_from_directory", "directory")]
    for directory, wrong in [
        ("data:photos", False),
        ("data:photos/", False),
        ("data:photo", True),
        ("data:photos/nothing", True),
        (str(folder), False),
        ("gs://bucket/images", False),
        ("a-0.tfrecord", True),
        ("images", True),
    ]:
        found = missing(folder, {"image_dataset_from_directory": {"directory": directory}}, data=photos)
        assert [problem.address for problem in found] == (places if wrong else []), directory


def test_paths_inside_of_combined_pipelines(folder: Path) -> None:
    part = {"source": {"TFRecordDataset": {"filenames": "c.tfrecord"}}}
    reduced = {"key_func": {"ops": ["tf.identity"]}, "reduce_func": {"python": "functions.py:g"}, "window_size": 2}
    found = problems(
        folder,
        {"zip": {"datasets": {"a": part, "b": {"source": {"from_tensors": {"tensors": {"files": "d-*"}}}}}}},
        stages=[{"concatenate": {"dataset": part}}, {"group_by_window": reduced}],
    )
    assert found == [
        (("source", "zip", "datasets", "a", "source", "TFRecordDataset", "filenames"), "c.tfrecord"),
        (("source", "zip", "datasets", "b", "source", "from_tensors", "tensors", "files"), "d-*"),
        (("stages", 0, "concatenate", "dataset", "source", "TFRecordDataset", "filenames"), "c.tfrecord"),
        (("stages", 1, "group_by_window", "reduce_func", "python"), "functions.py:g"),
    ]
