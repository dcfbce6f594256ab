"""What a worker says comes through its JSON as it was, and what the harness reads is of its type."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeprof.profiles.protocol.channel import checked, encode
from pipeprof.profiles.protocol.messages import Sample

FIELDS = {name: hint for name, hint in get_type_hints(Sample).items() if not name.startswith("__")}
NUMBERS = {
    # At least 1: sizes and counts are not negative.
    int: st.integers(min_value=1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=8),
    bool: st.booleans(),
    Any: st.none() | st.text(max_size=5) | st.lists(st.integers(), max_size=3),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, as JSON has them: a tuple is a list."""
    origin, parameters = get_origin(hint), get_args(hint)
    if hint in NUMBERS:
        return NUMBERS[hint]
    if hint is type(None):
        return st.none()
    if dataclasses.is_dataclass(hint):
        return records(hint)
    if origin is list:
        return st.lists(values(parameters[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*map(values, parameters))
    if origin is dict:
        return st.dictionaries(values(parameters[0]), values(parameters[1]), max_size=3)
    if str(origin).endswith("Literal"):
        return st.sampled_from(parameters)
    return st.one_of(*map(values, parameters))


def records(record_class: type) -> st.SearchStrategy[Any]:
    """Instances of a record."""
    hints = get_type_hints(record_class)
    return st.builds(
        record_class, **{field.name: values(hints[field.name]) for field in dataclasses.fields(record_class)}
    )


@pytest.mark.parametrize("name", FIELDS)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_field_comes_through_its_line(name: str, data: st.DataObject) -> None:
    changes = {name: data.draw(values(FIELDS[name]))}
    line = encode(changes)
    assert line.count("\n") == 1
    assert checked(json.loads(line)) == changes


def test_a_name_that_is_no_text_of_any_encoding_comes_through() -> None:
    assert checked(json.loads(encode({"refused": "a\udcff.py"}))) == {"refused": "a\udcff.py"}


REPLAYED = {"replayed_ms": 1.0, "steps": 3, "batches": 1, "loop_cpu_ms": 0.1}


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_ends_in": "x"},
        {"trace_ends_in": float("nan")},
        {"trace_ends_in": float("inf")},
        {"replayed": {**REPLAYED, "steps": 3.5}},
        {"replayed": {**REPLAYED, "more": 1}},
        {"replayed": {"steps": 3}},
        {"versions": []},
        {"versions": {"a": 1}},
        {"gpus": "all"},
        {"phases": [{"name": "lunch"}]},
        {"phases": ["build"]},
        {"unknown": 1},
    ],
)
def test_a_value_of_another_type_is_the_error_of_the_worker(fields: dict[str, Any]) -> None:
    (error,) = checked(fields).values()
    assert (error.code, error.kind) == ("crashed", "installation")
    assert next(iter(fields)) in error.message
