"""A filter as a map that keeps rows of whole batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import MoveFilter, PipelineEdit, VectoriseFilter, VectoriseMap
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data, rows_kept_of
from pipeprof.pipelines.spec.edits.apply_files import apply_to_text
from pipeprof.pipelines.spec.edits.places import EditError
from pipeprof.profiles.advise.edits.element_fields import with_fields

LESS = {"tf.math.less": {"y": 3}}
TEXT = """\
version: 1
source: {range: {stop: 90}}
stages:
  - map: {ops: [{to_dict: {x: null, kept: null}}]}
  # the small ones
  - filter: {name: small, ops: [{tf.math.less: {y: 30, on: x}}]}
  - batch: {batch_size: 8, drop_remainder: true, num_parallel_calls: 2}   # for the step
"""
MASKS = VectoriseFilter("stages.1", "stages.2")


@pytest.mark.parametrize(
    ("fields", "predicate", "calls"),
    [
        ((), [LESS], [{"to_tuple": [None, None]}, 1, {"tf.boolean_mask": {"on": [0, 1], "to": 0}}, {"select": 0}]),
        (
            (0, 1),
            [{"select": 1}, LESS],
            [
                {"to_tuple": [0, 1, None]},
                2,
                {"tf.boolean_mask": {"on": [0, 2], "to": 0}},
                {"tf.boolean_mask": {"on": [1, 2], "to": 1}},
                {"select": [0, 1]},
            ],
        ),
        (
            ("x", "kept"),
            [{"select": "x"}, LESS],
            [
                {"to_dict": {"x": "x", "kept": "kept", "kept_": None}},
                "kept_",
                {"tf.boolean_mask": {"on": ["x", "kept_"], "to": "x"}},
                {"tf.boolean_mask": {"on": ["kept", "kept_"], "to": "kept"}},
                {"drop": ["kept_"]},
            ],
        ),
    ],
)
def test_rows_are_kept_in_all_fields(fields: tuple[Any, ...], predicate: list[Any], calls: list[Any]) -> None:
    expected = [
        {"tf.vectorized_map": {"fn": predicate, "on": one}} if not isinstance(one, dict) else one for one in calls
    ]
    assert rows_kept_of(fields, predicate) == expected


@pytest.mark.parametrize(
    ("last", "answers"),
    [
        ({"tf.math.less": {"y": 3, "on": "x"}}, [{"tf.math.less": {"y": 3, "on": "x"}}, {"select": "x"}]),
        ({"tf.math.less": {"on": ["x", "y"]}}, [{"tf.math.less": {"on": ["x", "y"], "to": "x"}}, {"select": "x"}]),
        (
            {"tf.math.less": {"on": {"y": "b", "x": "a"}}},
            [{"tf.math.less": {"on": {"y": "b", "x": "a"}, "to": "b"}}, {"select": "b"}],
        ),
        ({"select": "x"}, [{"select": "x"}]),
    ],
)
def test_the_predicate_answers_alone(last: Any, answers: list[Any]) -> None:
    assert rows_kept_of(("x", "y", "a", "b"), [last])[1]["tf.vectorized_map"]["fn"] == answers


def test_the_batch_after_it_gives_the_same_batches() -> None:
    (masks,) = with_fields({"source": {"range": {"stop": 90}}, **_data()}, [MASKS], Path())
    assert masks == VectoriseFilter("stages.1", "stages.2", ("x", "kept"))
    assert apply_to_text(TEXT, [masks]).splitlines()[4:] == [
        "  - batch: {batch_size: 8}",
        "  - map:",
        "      name: small",
        "      ops:",
        "        - to_dict: {x: x, kept: kept, kept_: null}",
        "        - tf.vectorized_map: {fn: [{tf.math.less: {y: 30, on: x}}, {select: x}], on: kept_}",
        "        - tf.boolean_mask: {on: [x, kept_], to: x}",
        "        - tf.boolean_mask: {on: [kept, kept_], to: kept}",
        "        - drop: [kept_]",
        "  - rebatch: {batch_size: 8, drop_remainder: true}",
    ]


def test_a_map_of_whole_batches_stands_after_the_batch() -> None:
    text = "\n".join([*TEXT.splitlines()[:4], TEXT.splitlines()[6], ""])
    after = apply_to_text(text, [VectoriseMap("stages.0", "stages.1")])
    chain = "{tf.vectorized_map: {fn: [{to_dict: {x: null, kept: null}}]}}"
    assert after.splitlines()[4:] == [f"  - map: {{ops: [{chain}]}}"]


def _data() -> dict[str, Any]:
    from pipeprof.pipelines.spec.yaml.reader import read

    found: dict[str, Any] = read(TEXT).data
    return found


@pytest.mark.parametrize(
    ("stages", "edits", "fields"),
    [
        ([], [], ()),
        ([{"map": {"ops": [{"to_tuple": [None, None]}]}}], [], (0, 1)),
        ([{"map": {"python": "f.py:fn"}}], [], None),
        ([{"map": {"ops": [{"to_tuple": [None, {"a": None}]}]}}], [], None),
        ([{"batch": {"batch_size": 2}}, {"map": {"ops": ["tf.as_string", "tf.strings.split"]}}], [], None),
        ([{"map": {"ops": [{"to_tuple": [None, None]}]}}], [MoveFilter("stages.1", "stages.0")], ()),
        ([{"map": {"ops": [{"tf.sqare": {}}]}}], [], None),
    ],
)
def test_fields_are_those_of_the_elements_that_the_filter_gets(
    stages: list[Any], edits: list[PipelineEdit], fields: Any
) -> None:
    data = {"source": {"range": {"stop": 90}}, "version": 1}
    at = len(stages)
    predicate = {"filter": {"ops": [{"tf.math.less": {"y": 3, "on": 0}} if fields == (0, 1) or edits else LESS]}}
    data["stages"] = [*stages, predicate, {"batch": {"batch_size": 2}}]
    found = with_fields(data, [*edits, VectoriseFilter(f"stages.{at}", f"stages.{at + 1}")], Path())[-1]
    assert found == VectoriseFilter(f"stages.{at}", f"stages.{at + 1}", fields)


def test_what_has_no_such_form_is_refused() -> None:
    with pytest.raises(EditError, match="the fields of its elements are not known"):
        apply_to_data(_data(), [MASKS])
    with pytest.raises(EditError, match=r"stages\.1: stages\.2 is not the stage after it"):
        apply_to_data(_data(), [MoveFilter("stages.1", "stages.0"), VectoriseFilter("stages.1", "stages.2", ())])
    with pytest.raises(EditError, match=r"stages\.0: map is not a filter"):
        apply_to_data(_data(), [VectoriseFilter("stages.0", "stages.2", ())])
