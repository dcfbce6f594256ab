"""Recipes: what a spec may say, which files follow from it, and when two recipes are the same."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeprof.pipelines.data.recipes.models import DataEntry, estimated_bytes, file_names, fingerprint


def entry(**kinds):
    return DataEntry.model_validate(kinds)


def messages(**kinds):
    with pytest.raises(ValidationError) as caught:
        entry(**kinds)
    return [(".".join(map(str, found["loc"])), found["msg"]) for found in caught.value.errors()]


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ({"image_folder": {"count": 3, "classes": 2}}, ["class_0/00000.jpg", "class_1/00001.jpg", "class_0/00002.jpg"]),
        ({"image_folder": {"count": 1, "classes": 1, "format": "png"}}, ["class_0/00000.png"]),
        ({"tfrecord": {"shards": 2, "records": 5}}, ["part-00000-of-00002.tfrecord", "part-00001-of-00002.tfrecord"]),
        ({"tfrecord": {"shards": 1, "compression_type": "GZIP"}}, ["part-00000-of-00001.tfrecord"]),
        ({"npy": {}}, ["data.npy"]),
        ({"npy": {"files": 2}}, ["part-00000-of-00002.npy", "part-00001-of-00002.npy"]),
        ({"csv": None}, ["data.csv"]),
        ({"text": {"files": 2}}, ["part-00000-of-00002.txt", "part-00001-of-00002.txt"]),
    ],
)
def test_files_follow_from_the_recipe(kinds, names):
    assert file_names(entry(**kinds)) == names


def test_names_sort_in_the_order_of_their_numbers():
    names = file_names(entry(image_folder={"count": 100_001, "classes": 11}))
    assert names[0] == "class_00/000000.jpg"
    assert names[-1] == "class_10/100000.jpg"
    assert len({name.split("/")[0] for name in names}) == 11


def test_null_stands_for_all_defaults():
    assert entry(text=None) == entry(text={})


def test_notes_are_left_out_of_the_recipe():
    assert fingerprint(entry(text={"lines": 5, "x-why": "small"})) == fingerprint(entry(text={"lines": 5}))


def test_every_part_of_a_recipe_counts_for_its_fingerprint():
    variants = [
        {"npy": {"shape": [4]}},
        {"npy": {"shape": [4], "seed": 1}},
        {"npy": {"shape": [4], "dtype": "float64"}},
        {"npy": {"shape": [2, 2]}},
        {"csv": {}},
        {"text": {}},
    ]
    assert len({fingerprint(entry(**variant)) for variant in variants}) == len(variants)
    assert fingerprint(entry(npy={"shape": [4], "seed": 0})) == fingerprint(entry(npy={"seed": 0, "shape": [4]}))


def test_a_new_version_of_the_maker_makes_everything_anew(monkeypatch):
    before = fingerprint(entry(csv={}))
    monkeypatch.setattr(type(entry(csv={}).recipe), "version", 2)
    assert fingerprint(entry(csv={})) != before


@pytest.mark.parametrize(
    ("kinds", "place", "words"),
    [
        ({"imge_folder": {}}, "imge_folder", "unknown kind 'imge_folder': expected image_folder, tfrecord"),
        ({}, "", "0 kinds (none): expected exactly one of"),
        ({"csv": {}, "text": {}}, "", "2 kinds (csv, text)"),
        ({"image_folder": {"classes": 5, "count": 4}}, "image_folder.classes", "expected at most count, which is 4"),
        ({"tfrecord": {"shards": 5, "records": 4}}, "tfrecord.shards", "expected at most records, which is 4"),
        ({"csv": {"files": 5, "rows": 4}}, "csv.files", "expected at most rows"),
        ({"text": {"words": [5, 1]}}, "text.words", "[5, 1]: expected [smallest, largest]"),
        ({"csv": {"columns": 0, "label": 0}}, "csv", "no columns"),
        ({"tfrecord": {"steps": [3, 2]}}, "tfrecord.steps", "[smallest, largest]"),
        (
            {"tfrecord": {"features": {"a": {"ints": {"length": "b"}}, "b": {"label": None}}}},
            "tfrecord.features.a.ints.length",
            "got 'b', expected the name of a feature of ints or floats",
        ),
        (
            {"tfrecord": {"features": {"a": {"floats": {"length": "a"}}}}},
            "tfrecord.features.a.floats.length",
            "with a length of its own",
        ),
        ({"text": {"lnes": 5}}, "text.lnes", "unknown key `lnes`"),
        ({"tfrecord": {"features": {"a": {"jpg": {}}}}}, "tfrecord.features.a.jpg", "expected jpeg, mask, dense"),
        ({"tfrecord": {"features": {"a": {"ints": {"length": [2, 1]}}}}}, "tfrecord.features.a.ints.length", "[2, 1]"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(kinds, place, words):
    ((found_place, message),) = messages(**kinds)
    assert found_place == place
    assert words in message


@pytest.mark.parametrize(
    "kinds",
    [
        {"image_folder": {"count": True}},
        {"image_folder": {"count": "600"}},
        {"image_folder": {"count": 0}},
        {"image_folder": {"size": [0, 3]}},
        {"image_folder": {"size": [1, 2, 3]}},
        {"image_folder": {"quality": 101}},
        {"image_folder": {"seed": -1}},
        {"tfrecord": {"features": {}}},
        {"tfrecord": {"features": {"x": {"dense": {}}}}},
        {"tfrecord": {"compression_type": "gzip"}},
        {"npy": {"shape": [-1]}},
        {"npy": {"dtype": "string"}},
        {"csv": {"header": 1}},
        {"tfrecord": {"compression_type": "ZIP"}},
        {"tfrecord": {"features": {"x": {"dense": {"shape": [1], "dtype": "float64"}}}}},
    ],
)
def test_values_are_taken_strictly(kinds):
    assert len(messages(**kinds)) >= 1


@given(shape=st.lists(st.integers(0, 50), max_size=4), dtype=st.sampled_from(["bool", "uint8", "float16", "int64"]))
def test_the_size_of_an_array_is_known_exactly(shape, dtype):
    item = {"bool": 1, "uint8": 1, "float16": 2, "int64": 8}[dtype]
    assert estimated_bytes(entry(npy={"shape": shape, "dtype": dtype})) == 128 + math.prod(shape) * item


def test_estimates_grow_with_what_is_asked_for():
    small, large = entry(image_folder={"quality": 50}), entry(image_folder={"quality": 95})
    assert estimated_bytes(small) < estimated_bytes(large)
    lengths = [{"ints": {"length": 5}}, {"ints": {"length": [5, 50]}}, {"dense": {"shape": [100]}}, {"jpeg": None}]
    sizes = [estimated_bytes(entry(tfrecord={"features": {"a": feature}})) for feature in lengths]
    assert sizes == sorted(sizes)
    assert estimated_bytes(entry(tfrecord={"features": {"a": {"text": None}}})) > 0


def test_an_entry_survives_being_sent_to_another_process():
    original = entry(tfrecord={"features": {"a": {"ints": {"length": 5}}, "b": {"label": None}}})
    assert DataEntry.model_validate(original.model_dump(mode="json", exclude_none=True)) == original


def test_every_kind_of_feature_is_part_of_the_estimate():
    kinds = [
        {"jpeg": {"frames": [2, 4]}},
        {"jpeg": None},
        {"mask": None},
        {"floats": {"length": 9}},
        {"ints": {"length": 9}},
        {"raw": {"shape": [3, 4], "dtype": "float64"}},
        {"label": None},
    ]
    plain = estimated_bytes(entry(tfrecord={"records": 1, "shards": 1, "features": {"a": {"label": None}}}))
    for kind in kinds:
        features = {"a": {"label": None}, "b": kind}
        assert estimated_bytes(entry(tfrecord={"records": 1, "shards": 1, "features": features})) > plain
    steps = {"features": {"a": {"label": None}}, "sequences": {"b": {"label": None}}, "steps": [9, 9]}
    assert estimated_bytes(entry(tfrecord={"records": 1, "shards": 1, **steps})) > plain + 9 * 6
    three, one = (entry(tfrecord={"features": {"a": {"jpeg": {"frames": n}}}}) for n in (3, 1))
    assert estimated_bytes(three) > 2.9 * estimated_bytes(one)
