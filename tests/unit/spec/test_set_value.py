"""``--set path=value``."""

from typing import Any

import pytest

from pipeprof.pipelines.spec.set_value import FLAG, apply_sets
from pipeprof.pipelines.spec.yaml_text import Item, Span, SpecProblem, YamlText, read

SPEC = """\
version: 1
data:
  photos: {image_folder: {count: 600, size: [480, 360]}}
source:
  list_files: {file_pattern: "data:photos/*/*.jpg", shuffle: false}
stages:
  - map:
      name: decode
      ops:
        - tf.io.read_file
        - tf.io.decode_jpeg: {channels: 3}
  - shuffle: {buffer_size: 500, name: batch}
  - batch: {batch_size: 32}
  - interleave:
      source: {TFRecordDataset: {}}
      stages:
        - take: {count: 3}
  - cache:
  - take: {count: 1, name: "my.stage"}
  - take: {count: 2, name: mix}
  - skip: {count: 2, name: mix}
"""


def applied(*sets: str, text: str = SPEC) -> tuple[YamlText, list[SpecProblem]]:
    found = read(text)
    assert isinstance(found.root, Item)
    return found, apply_sets(found.root, sets, None, {})


def changed(*sets: str) -> Any:
    text, problems = applied(*sets)
    assert problems == []
    return text.data


@pytest.mark.parametrize(
    ("flag", "address"),
    [
        ("stages.2.batch.batch_size=x", ("stages", 2, "batch", "batch_size")),
        ("stages.2.drop_remainder=x", ("stages", 2, "batch", "drop_remainder")),
        ("stages.decode.num_parallel_calls=x", ("stages", 0, "map", "num_parallel_calls")),
        ("stages.map.num_parallel_calls=x", ("stages", 0, "map", "num_parallel_calls")),
        # A stage's name wins over the name of an operation.
        ("stages.batch.buffer_size=x", ("stages", 1, "shuffle", "buffer_size")),
        ("stages.my.stage.count=x", ("stages", 5, "take", "count")),
        ("stages.0.ops.tf.io.decode_jpeg.channels=x", ("stages", 0, "map", "ops", 1, "tf.io.decode_jpeg", "channels")),
        ("stages.0.ops.0.on=x", ("stages", 0, "map", "ops", 0, "tf.io.read_file", "on")),
        ("stages.3.stages.0.count=x", ("stages", 3, "interleave", "stages", 0, "take", "count")),
        ("data.photos.size.1=x", ("data", "photos", "image_folder", "size", 1)),
        ("data.other.npy.shape=x", ("data", "other", "npy", "shape")),
        ("step.simulate.every.1000=x", ("step", "simulate", "every", 1000)),
        (" version =x", ("version",)),
    ],
)
def test_paths(flag, address):
    text, problems = applied(flag)
    assert problems == []
    value: Any = text.data
    for part in address:
        value = value[part]
    assert value == "x"
    place = text.places[address]
    assert place.value == Span(1, len(FLAG + flag), 1, 0)
    assert place.key.flag == 0
    # Nothing but the addressed value and what leads to it has changed.
    before, after = read(SPEC).places, text.places
    others = [place for place in before if place != address[: len(place)] and place[: len(address)] != address]
    assert all(before[place] == after[place] for place in others)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000", 1000), ("", None), ("'3'", "3"), (" 3 ", 3), ("[1, a, {b: c}]", [1, "a", {"b": "c"}]),
        ("*.jpg", "*.jpg"), ("a: b", "a: b"), ("run #3", "run #3"), ("a=b=c", "a=b=c"), ("- 3", "- 3"),
    ],
)  # fmt: skip
def test_values(text, value):
    data = changed(f"x-value={text}")
    assert data["x-value"] == value
    assert type(data["x-value"]) is type(value)


def test_later_ones_win_and_each_is_tried():
    text, problems = applied("stages.2.batch_size=1", "stages.2={batch: {batch_size: 2}}", "stages.2.batch_size=3", "a")
    assert [problem.span.flag for problem in problems] == [3]
    assert text.data["stages"][2] == {"batch": {"batch_size": 3}}
    assert text.places[("stages", 2, "batch", "batch_size")].value.flag == 2
    assert text.places[("stages", 2, "batch")].value.flag == 1
    assert text.places[("stages", 2)].key == Span(1, len(FLAG) + len("stages.") + 1, 1, 1)


def test_nothing_removes():
    data = changed("stages.decode.ops=null", "stages.batch=", "stages.cache=null", "source.shuffle=~")
    assert data["stages"][0] == {"map": {"name": "decode"}}
    assert [next(iter(stage)) for stage in data["stages"]] == ["map", "batch", "interleave", "take", "take", "skip"]
    assert data["source"] == {"list_files": {"file_pattern": "data:photos/*/*.jpg"}}
    # An operation's arguments may be nothing, and so may what stands in a list of values.
    data = changed("stages.2.batch=null", "data.photos.size.0=null", "stages.0.ops.0=null")
    assert data["stages"][2] == {"batch": None}
    assert data["data"]["photos"]["image_folder"]["size"] == [None, 360]
    assert data["stages"][0]["map"]["ops"] == [{"tf.io.decode_jpeg": {"channels": 3}}]


def test_changes_stay_in_one_copy_of_an_alias():
    spec = "x-b: &b {batch_size: 1}\nstages:\n  - batch: *b\n  - batch: *b\n"
    text, _ = applied("stages.0.batch_size=2", text=spec)
    assert text.data["stages"] == [{"batch": {"batch_size": 2}}, {"batch": {"batch_size": 1}}]


@pytest.mark.parametrize(("flag", "index"), [("+", 8), ("+0", 0), ("+decode", 0), ("+interleave", 3)])
def test_adding_to_a_list(flag, index):
    text, problems = applied(f"stages.{flag}={{prefetch: {{buffer_size: 2}}}}", "ignore.+={rule: a, reason: b}")
    assert problems == []
    assert text.data["stages"][index] == {"prefetch": {"buffer_size": 2}}
    assert text.data["stages"][:index] + text.data["stages"][index + 1 :] == read(SPEC).data["stages"]
    after = 2 + (index <= 2)
    assert text.places["stages", after, "batch"] == read(SPEC).places["stages", 2, "batch"]
    # Where nothing is yet.
    assert text.data["ignore"] == [{"rule": "a", "reason": "b"}]


@pytest.mark.parametrize(
    ("flag", "code", "column"),
    [
        ("name", "set-form", 1),
        (".".join("a" * 65) + "=3", "set-form", 1),
        ("stages.8.count=3", "out-of-range", 8),
        ("stages.+8=3", "out-of-range", 8),
        ("stages.decod.count=3", "unknown-stage", 8),
        ("stages.mix.count=3", "ambiguous", 8),
        ("name=!!python/name:x y", "tag", 6),
        ("name=\udcff", "control-character", 6),
        ("name=" + "[" * 100, "too-deep", 70),
    ],
)
def test_refused(flag, code, column):
    _, (problem,) = applied("x-first=1", flag)
    assert (problem.code, problem.span.flag, problem.span.column) == (code, 1, len(FLAG) + column)
