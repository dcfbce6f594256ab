"""Recipes: what a spec may say, which files follow from it, and when two recipes are the same."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from pipeprof.pipelines.data import recipes
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
def test_files_follow_from_the_recipe(entry: dict[str, Any], names: list[str]) -> None:
    assert list(SCHEMA.iter_errors(entry)) == []
    assert recipe_of(entry).file_names() == names


def test_names_sort_in_the_order_of_their_numbers() -> None:
    names = recipe_of({"image_folder": {"count": 100_001, "classes": 11}}).file_names()
    assert (names[0], names[-1]) == ("class_00/000000.jpg", "class_10/100000.jpg")
    assert len({name.split("/")[0] for name in names}) == 11


def test_a_name_stands_for_all_that_the_files_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[dict[str, Any]] = [
        {"npy": {"shape": [4]}},
        {"npy": {"shape": [4], "seed": 1}},
        {"npy": {"shape": [2, 2]}},
        {"csv": {}},
        {"tfrecord": {"features": {"a": {"label": {}}}}},
        {"tfrecord": {"features": {"a": {"label": {"classes": 3}}}}},
    ]
    names = [entry_name(recipe_of(entry)) for entry in entries]
    assert len(set(names)) == len(entries)
    assert names[0] == entry_name(recipe_of({"npy": {"x-why": "small", "seed": 0, "shape": [4]}}))
    assert names[0].startswith("npy-")
    monkeypatch.setattr(recipes, "VERSION", 0)
    assert entry_name(recipe_of(entries[0])) != names[0]


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_fit_the_schema_and_come_back_from_another_process(kind: str) -> None:
    recipe = recipe_of({kind: None})
    assert list(SCHEMA.iter_errors(entry_of(recipe))) == []
    assert recipe_of(entry_of(recipe)) == recipe
    table = definitions()["data_entry"]["properties"]
    assert sorted(table) == sorted(KINDS)
    assert sorted(entry_of(recipe)[kind]) == sorted(table[kind]["properties"])
