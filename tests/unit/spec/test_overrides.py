"""``--set path=value``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.spec.overrides import FLAG, apply_sets, walk_address
from pipeprof.pipelines.spec.yaml.reader import YamlDocument, read
from pipeprof.pipelines.spec.yaml.spans import Span, SpecProblem
from pipeprof.pipelines.spec.yaml.tree import flatten, grow

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


def apply_overrides(document: YamlDocument, sets: Sequence[str]) -> list[SpecProblem]:
    """Apply flags to a document as the loader does."""
    root = grow(document)
    problems = apply_sets(root, sets, document.references)
    document.data, document.places = flatten(root)
    return problems


def changed(*sets: str) -> tuple[Any, YamlDocument]:
    document = read(SPEC)
    assert apply_overrides(document, sets) == []
    return document.data, document


@pytest.mark.parametrize(
    ("flag", "address"),
    [
        ("name=x", ("name",)),
        ("stages.2.batch.batch_size=x", ("stages", 2, "batch", "batch_size")),
        ("stages.2.batch_size=x", ("stages", 2, "batch", "batch_size")),
        ("stages.2.drop_remainder=x", ("stages", 2, "batch", "drop_remainder")),
        ("stages.decode.num_parallel_calls=x", ("stages", 0, "map", "num_parallel_calls")),
        ("stages.map.num_parallel_calls=x", ("stages", 0, "map", "num_parallel_calls")),
        ("stages.decode.map.num_parallel_calls=x", ("stages", 0, "map", "num_parallel_calls")),
        # A stage's name wins over the name of an operation.
        ("stages.batch.buffer_size=x", ("stages", 1, "shuffle", "buffer_size")),
        ("stages.my.stage.count=x", ("stages", 5, "take", "count")),
        ("stages.skip.count=x", ("stages", 7, "skip", "count")),
        ("stages.cache.filename=x", ("stages", 4, "cache", "filename")),
        ("stages.4=x", ("stages", 4)),
        ("stages.decode.ops.1.channels=x", ("stages", 0, "map", "ops", 1, "tf.io.decode_jpeg", "channels")),
        ("stages.0.ops.tf.io.decode_jpeg.channels=x", ("stages", 0, "map", "ops", 1, "tf.io.decode_jpeg", "channels")),
        ("stages.0.map.ops.1.tf.io.decode_jpeg.ratio=x", ("stages", 0, "map", "ops", 1, "tf.io.decode_jpeg", "ratio")),
        ("stages.0.ops.0.on=x", ("stages", 0, "map", "ops", 0, "tf.io.read_file", "on")),
        ("stages.0.ops.0=x", ("stages", 0, "map", "ops", 0)),
        ("stages.3.stages.0.count=x", ("stages", 3, "interleave", "stages", 0, "take", "count")),
        ("stages.3.source.filenames=x", ("stages", 3, "interleave", "source", "TFRecordDataset", "filenames")),
        ("source.shuffle=x", ("source", "list_files", "shuffle")),
        ("source.list_files.shuffle=x", ("source", "list_files", "shuffle")),
        ("source=x", ("source",)),
        ("data.photos.count=x", ("data", "photos", "image_folder", "count")),
        ("data.photos.size.1=x", ("data", "photos", "image_folder", "size", 1)),
        ("data.other.npy.shape=x", ("data", "other", "npy", "shape")),
        ("options.threading.private_threadpool_size=x", ("options", "threading", "private_threadpool_size")),
        ("step.simulate.every.1000=x", ("step", "simulate", "every", 1000)),
        (" version =x", ("version",)),
    ],
)
def test_paths(flag: str, address: tuple[str | int, ...]) -> None:
    data, document = changed(flag)
    value = data
    for part in address:
        value = value[part]
    assert value == "x"
    assert document.places[address].value == Span(1, len(FLAG + flag), 1, 0)
    key = document.places[address].key
    assert key is not None
    assert key.flag == 0
    # Nothing but the addressed value and what leads to it has changed.
    before, after = read(SPEC).places, document.places
    others = [place for place in before if place != address[: len(place)] and place[: len(address)] != address]
    assert all(before[place] == after[place] for place in others)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1_000", 1000),
        ("1e-3", 0.001),
        ("none", "none"),
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("yes", "yes"),
        ("'3'", "3"),
        ('"a\\tb"', "a\tb"),
        (" 3 ", 3),
        ("[1, a, {b: c}]", [1, "a", {"b": "c"}]),
        ("{simulate: 5ms}", {"simulate": "5ms"}),
        ("a-*.jpg", "a-*.jpg"),
        ("*.jpg", "*.jpg"),
        ("data:photos/*", "data:photos/*"),
        ("a: b", "a: b"),
        ("run #3", "run #3"),
        ("a=b=c", "a=b=c"),
        ("&x", "&x"),
        ("@x", "@x"),
        ("%d", "%d"),
        ("- 3", "- 3"),
    ],
)
def test_values(text: str, value: object) -> None:
    data, _ = changed(f"x-value={text}")
    assert data["x-value"] == value
    assert type(data["x-value"]) is type(value)


def test_later_ones_win() -> None:
    data, document = changed("stages.2.batch_size=1", "stages.2={batch: {batch_size: 2}}", "stages.2.batch_size=3")
    assert data["stages"][2] == {"batch": {"batch_size": 3}}
    assert document.places[("stages", 2, "batch", "batch_size")].value.flag == 2
    assert document.places[("stages", 2, "batch")].value.flag == 1
    assert document.places[("stages", 2)].key == Span(1, len(FLAG) + len("stages.") + 1, 1, 1)


def test_places_inside_a_value() -> None:
    _, document = changed("step={simulate: 5ms, dispatch: 2}")
    assert document.places[("step", "dispatch")].key == Span(1, len("--set step={simulate: 5ms, ") + 1, 8, 0)
    assert document.places[("step", "dispatch")].value == Span(
        1, len("--set step={simulate: 5ms, dispatch: ") + 1, 1, 0
    )
    _, document = changed("step={simulate: 5ms,\n  dispatch: 2}")
    assert document.places[("step", "dispatch")].value.column == len("--set step={simulate: 5ms,\n  dispatch: ") + 1


def test_changes_stay_in_one_copy_of_an_alias() -> None:
    document = read("x-b: &b {batch_size: 1}\nstages:\n  - batch: *b\n  - batch: *b\n")
    assert apply_overrides(document, ["stages.0.batch_size=2"]) == []
    assert document.data["stages"] == [{"batch": {"batch_size": 2}}, {"batch": {"batch_size": 1}}]


@pytest.mark.parametrize(
    ("flag", "code", "column", "words"),
    [
        ("name", "set-form", 1, "missing '='"),
        ("", "set-form", 1, "missing '='"),
        ("=3", "set-form", 1, "empty part"),
        ("a..b=3", "set-form", 1, "empty part"),
        ("a.=3", "set-form", 1, "empty part"),
        (".".join("a" * 65) + "=3", "set-form", 1, "65 parts"),
        ("version.x=3", "set-path", 9, "'version' is 1: the path must end there"),
        ("stages.2.batch_size.x=3", "set-path", 21, "is 32: the path must end there"),
        ("stages.8.count=3", "out-of-range", 8, "0 to 7"),
        ("stages.-1.count=3", "unknown-stage", 8, "decode, map"),
        ("stages.decod.count=3", "unknown-stage", 8, "decode, map"),
        ("data.photos.size.2=3", "out-of-range", 18, "0 to 1"),
        ("data.photos.size.w=3", "set-path", 18, "an index"),
        ("stages.mix.count=3", "ambiguous", 8, "stages.6, stages.7"),
        ("name=[1", "syntax", 6, "unclosed"),
        ("name={a: 1, a: 2}", "duplicate-key", 13, "duplicate key `a`"),
        ("name=!!python/name:x y", "tag", 6, "tag"),
        ("name='x' y", "syntax", 10, "after the end"),
        ("name=" + "9" * 400, "number", 6, "400 digits"),
        ("name=a\0b", "control-character", 6, "NUL"),
        ("name=\udcff", "encoding", 6, "UTF-8"),
        ("name='\udcff'", "control-character", 7, "U+DCFF"),
        ("name=" + "[" * 100, "too-deep", 70, "levels"),
    ],
)
def test_refused(flag: str, code: str, column: int, words: str) -> None:
    document = read(SPEC)
    (problem,) = apply_overrides(document, ["x-first=1", flag])
    assert problem.span is not None
    assert (problem.code, problem.span.flag, problem.span.column) == (code, 1, len(FLAG) + column)
    assert words in problem.message


def test_name_that_is_another_index_is_ambiguous() -> None:
    document = read("stages:\n  - take: {count: 1, name: '1'}\n  - skip: {count: 1}\n")
    (problem,) = apply_overrides(document, ["stages.1.count=3"])
    assert problem.code == "ambiguous"
    assert apply_overrides(document, ["stages.0.count=3"]) == []


def test_every_flag_is_tried() -> None:
    document = read(SPEC)
    problems = apply_overrides(document, ["a", "name=x", "b"])
    assert [problem.span.flag for problem in problems if problem.span] == [0, 2]
    assert document.data["name"] == "x"


@pytest.mark.parametrize(
    ("parts", "address"),
    [
        (["stages", 0], ("stages", 0)),
        (["stages", "3", "source"], ("stages", 3, "interleave", "source")),
        (["stages", 3, "stages", 0, "count"], ("stages", 3, "interleave", "stages", 0, "take", "count")),
        (["source"], ("source",)),
        (["stages", 99], ("stages",)),
        (["nowhere", 1], ()),
    ],
)
def test_walk_address(parts: list[str | int], address: tuple[str | int, ...]) -> None:
    assert walk_address(read(SPEC).data, parts) == address


SEGMENT = st.sampled_from(
    ["stages", "source", "0", "7", "decode", "ops", "tf", "io", "name", "take", "mix", "data", "x", ""]
)
PATH = st.lists(SEGMENT, max_size=6).map(".".join)
VALUE = st.one_of(st.text(max_size=20), st.sampled_from(["[]", "{}", "null", "3", "{take: null}", "[{batch: 3}]"]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=30), st.builds("{}={}".format, PATH, VALUE)), max_size=4))
def test_any_flag_is_applied_or_refused(sets: list[str]) -> None:
    document = read(SPEC)
    for problem in apply_overrides(document, sets):
        assert problem.span is not None
        assert problem.span.flag is not None
        assert sets[problem.span.flag] or problem.code == "set-form"


NEW = "{prefetch: {buffer_size: 2}}"


@pytest.mark.parametrize(
    ("flag", "index"),
    [
        (f"stages.+={NEW}", 8),
        (f"stages+={NEW}", 8),
        (f"stages+=[{NEW}]", 8),
        (f"stages.+8={NEW}", 8),
        (f"stages.+0={NEW}", 0),
        (f"stages.+2={NEW}", 2),
        (f"stages.+decode={NEW}", 0),
        (f"stages.+interleave={NEW}", 3),
    ],
)
def test_adding_to_a_list(flag: str, index: int) -> None:
    data, document = changed(flag)
    assert data["stages"][index] == {"prefetch": {"buffer_size": 2}}
    assert data["stages"][:index] + data["stages"][index + 1 :] == read(SPEC).data["stages"]
    assert document.places["stages", index, "prefetch", "buffer_size"].value.flag == 0
    # What moved kept its place.
    moved = {"batch": 2, "cache": 4}
    for name, before in moved.items():
        after = before + (index <= before)
        assert document.places["stages", after, name] == read(SPEC).places["stages", before, name]


def test_adding_where_nothing_is_yet() -> None:
    data, _ = changed("ignore.+={rule: a, reason: b}", "ignore+=[{rule: c, reason: d}]", "x-a.b+=1", "x-a.b.+=[2]")
    assert data["ignore"] == [{"rule": "a", "reason": "b"}, {"rule": "c", "reason": "d"}]
    assert data["x-a"] == {"b": [1, [2]]}
    data, _ = changed("stages.decode.ops.+1=tf.io.decode_raw", "stages.3.stages+={skip: {count: 1}}")
    assert data["stages"][0]["map"]["ops"][:2] == ["tf.io.read_file", "tf.io.decode_raw"]
    assert data["stages"][3]["interleave"]["stages"] == [{"take": {"count": 3}}, {"skip": {"count": 1}}]


def test_nothing_removes() -> None:
    data, document = changed("stages.decode.ops=null", "stages.batch=", "stages.cache=null", "source.shuffle=~")
    assert data["stages"][0] == {"map": {"name": "decode"}}
    # The name of a stage comes before the name of an operation.
    assert [next(iter(stage)) for stage in data["stages"]] == ["map", "batch", "interleave", "take", "take", "skip"]
    assert data["source"] == {"list_files": {"file_pattern": "data:photos/*/*.jpg"}}
    assert set(document.places) == set(flattened(data))
    # An operation's arguments may be nothing, and so may what stands in a list of values.
    data, _ = changed("stages.2.batch=null", "data.photos.size.0=null", "stages.0.ops.0=null")
    assert data["stages"][2] == {"batch": None}
    assert data["data"]["photos"]["image_folder"]["size"] == [None, 360]
    assert data["stages"][0]["map"]["ops"] == [{"tf.io.decode_jpeg": {"channels": 3}}]


def flattened(data: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(place for key, inner in pairs for place in flattened(inner, (*at, key)))]


@pytest.mark.parametrize(
    ("flag", "code", "column", "message"),
    [
        ("version.+=1", "set-path", 7, "this path leads to 1: expected the path of a list"),
        ("stages.batch+=1", "set-path", 14, "this path leads to a mapping: expected the path of a list"),
        ("stages.+99=1", "out-of-range", 14, "index 99 of 'stages' is out of range: expected 0 to 7"),
        ("stages.+nobody=1", "unknown-stage", 14, "no 'nobody' in 'stages': expected an index or one of"),
        ("stages.8={take: {}}", "out-of-range", 14, "expected 0 to 7; stages.+=… appends"),
        ("stages.+.x=1", "unknown-stage", 14, "no '+'"),
    ],
)
def test_what_cannot_be_added(flag: str, code: str, column: int, message: str) -> None:
    document = read(SPEC)
    problem = apply_overrides(document, [flag])[0]
    assert problem.code == code
    assert message in problem.message
    assert problem.span is not None
    assert problem.span.column == column
    assert document.data == read(SPEC).data
