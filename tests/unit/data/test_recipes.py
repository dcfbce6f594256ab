"""Recipes: what a spec may say, which files follow from it, and that the same recipe gives the same bytes."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from pipeprof.pipelines.data import recipes, tables
from pipeprof.pipelines.data.make import make
from pipeprof.pipelines.data.photos import run_in_threads
from pipeprof.pipelines.data.recipes import definitions, entry_name, entry_of, recipe_of

SCHEMA = jsonschema.Draft7Validator({"$ref": "#/definitions/data_entry", "definitions": definitions()})
KINDS = ("image_folder", "tfrecord", "npy", "csv", "text")


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ({"image_folder": {"count": 3, "classes": 2}}, ["class_0/00000.jpg", "class_1/00001.jpg", "class_0/00002.jpg"]),
        ({"tfrecord": {"shards": 2, "records": 5}}, ["part-00000-of-00002.tfrecord", "part-00001-of-00002.tfrecord"]),
        ({"csv": None}, ["data.csv"]),
        ({"text": {"x-why": "small"}}, ["data.txt"]),
    ],
)
def test_files_follow_from_the_recipe(entry, names):
    assert list(SCHEMA.iter_errors(entry)) == []
    assert recipe_of(entry).file_names() == names


def test_a_name_stands_for_all_that_the_files_depend_on(monkeypatch):
    entries: list[dict[str, Any]] = [
        *({"npy": given} for given in ({"shape": [4]}, {"shape": [4], "seed": 1}, {"shape": [2, 2]})),
        *({"tfrecord": {"features": {"a": {"label": label}}}} for label in ({}, {"classes": 3})),
        {"csv": {}},
    ]
    names = [entry_name(recipe_of(entry)) for entry in entries]
    assert len(set(names)) == len(entries)
    assert names[0] == entry_name(recipe_of({"npy": {"x-why": "small", "seed": 0, "shape": [4]}}))
    assert names[0].startswith("npy-")
    monkeypatch.setattr(recipes, "VERSION", 0)
    assert entry_name(recipe_of(entries[0])) != names[0]


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_fit_the_schema_and_come_back_from_another_process(kind):
    recipe = recipe_of({kind: None})
    assert list(SCHEMA.iter_errors(entry_of(recipe))) == []
    assert recipe_of(entry_of(recipe)) == recipe
    table = definitions()["data_entry"]["properties"]
    assert sorted(table) == sorted(KINDS)
    assert sorted(entry_of(recipe)[kind]) == sorted(table[kind]["properties"])


def made(entry: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """Files by name; the last progress reported is that all is done."""
    folder.mkdir()
    recipe, reports = recipe_of(entry), [(0, 0)]
    make(recipe, folder, lambda *report: reports.append(report))
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert sorted(files) == sorted(recipe.file_names())
    assert reports[-1] == (recipe.items(), recipe.items())
    return files


@pytest.mark.parametrize(
    "entry",
    [
        {"npy": {"shape": [7, 30], "dtype": "float16", "files": 2}},
        {"csv": {"rows": 5000, "columns": 2, "ints": 1, "strings": 1, "files": 2}},
        {"text": {"lines": 5000, "vocabulary": 50, "files": 3}},
    ],
)
def test_the_same_recipe_gives_the_same_bytes_and_another_seed_others(entry, tmp_path):
    first = made(entry, tmp_path / "1")
    assert made(entry, tmp_path / "2") == first
    assert len(set(first.values())) == len(first)
    ((kind, given),) = entry.items()
    assert made({kind: {**given, "seed": 9}}, tmp_path / "3") != first


def test_files_may_hold_nothing(tmp_path):
    made({"npy": {"shape": [0, 4]}}, tmp_path / "a")
    assert made({"text": {"lines": 2, "words": [0, 0]}}, tmp_path / "t") == {"data.txt": b"\n\n"}


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16"])
@pytest.mark.parametrize("fill", ["random", "zeros", "arange"])
def test_arrays_have_the_values_asked_for(dtype, fill, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_ITEMS_AT_A_TIME", 100)
    made({"npy": {"shape": [50, 7], "dtype": dtype, "fill": fill}}, tmp_path / "a")
    array = np.load(tmp_path / "a" / "data.npy")
    assert (array.shape, array.dtype) == ((50, 7), dtype)
    if fill == "zeros":
        assert not array.any()
    elif fill == "arange":
        assert (array.ravel() == (np.arange(350) % 2 if dtype == "bool" else np.arange(350).astype(dtype))).all()
    elif array.dtype.kind == "f":
        assert 0 <= array.min() < 0.1 < 0.9 < array.max() < 1
    else:
        assert 0 <= array.min() < array.max() <= 999


def test_a_csv_file_is_what_its_recipe_says(tmp_path):
    given = {"rows": 200, "columns": 2, "ints": 1, "strings": 1, "label": 3}
    rows = list(csv.reader(made({"csv": given}, tmp_path / "a")["data.csv"].decode().splitlines()))
    assert rows[0] == ["x0", "x1", "i0", "s0", "label"]
    assert len(rows) == 201
    assert all(0 <= float(row[0]) < 1 and row[2].isdigit() and row[3].isalpha() for row in rows[1:])
    assert {row[4] for row in rows[1:]} == {"0", "1", "2"}
    files = made({"csv": {"rows": 10, "files": 4, "header": False}}, tmp_path / "b")
    assert [files[name].count(b"\n") for name in sorted(files)] == [3, 3, 2, 2]


def test_lines_hold_as_many_words_as_asked_for_and_some_far_more_often(tmp_path):
    text = made({"text": {"lines": 500, "words": [2, 4], "vocabulary": 30}}, tmp_path / "a")["data.txt"].decode()
    assert {len(line.split(" ")) for line in text.splitlines()} == {2, 3, 4}
    assert len(set(text.split())) <= 30
    counts = sorted(Counter(text.split()).values())
    assert counts[-1] > 10 * counts[0]


def test_each_item_is_worked_on_once_and_a_failure_ends_the_work():
    done: list[int] = []
    run_in_threads(done.append, range(1000))
    assert sorted(done) == list(range(1000))
    started = []

    def work(item: int) -> None:
        started.append(item)
        if item == 3:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        run_in_threads(work, range(10_000_000))
    assert len(started) < 5_000_000
