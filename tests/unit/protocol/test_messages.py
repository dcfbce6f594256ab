"""Messages between worker and harness: each one comes through its JSON as it was, and all of them are typed."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeprof.profiles.protocol import job, messages, services, turns
from pipeprof.profiles.protocol.messages import WorkerMessage, decode_message, encode_message
from pipeprof.profiles.protocol.records import decode_record, encode_record

MESSAGES = sorted(WorkerMessage.classes.items())
RECORDS = [
    *(record for _, record in MESSAGES),
    *(record for record in vars(job).values() if dataclasses.is_dataclass(record)),
]
# What a TypedDict holds is passed through as it is: any JSON object stands for it.
PLAIN = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3)
NUMBERS = {
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=8),
    bool: st.booleans(),
    Any: st.none() | st.text(max_size=5) | st.lists(st.integers(), max_size=3),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    origin, parameters = get_origin(hint), get_args(hint)
    if hint in NUMBERS:
        return NUMBERS[hint]
    if hint is type(None):
        return st.none()
    if dataclasses.is_dataclass(hint):
        return records(hint)
    if origin is list:
        return st.lists(values(parameters[0]), max_size=3)
    if origin is tuple and parameters[-1] is Ellipsis:
        return st.lists(values(parameters[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, parameters))
    if origin is dict:
        return st.dictionaries(values(parameters[0]), values(parameters[1]), max_size=3)
    if str(origin).endswith("Literal"):
        return st.sampled_from(parameters)
    if parameters:
        return st.one_of(*map(values, parameters))
    return PLAIN


def records(record_class: type) -> st.SearchStrategy[Any]:
    """Instances of a record."""
    hints = get_type_hints(record_class)
    return st.builds(
        record_class, **{field.name: values(hints[field.name]) for field in dataclasses.fields(record_class)}
    )


@pytest.mark.parametrize("name", [name for name, _ in MESSAGES])
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_message_comes_through_its_line(name, data):
    message = data.draw(records(WorkerMessage.classes[name]))
    line = encode_message(message)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert decode_message(json.loads(line)) == message


@pytest.mark.parametrize("record_class", [job.Job])
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_job_comes_through_its_line(record_class, data):
    record = data.draw(records(record_class))
    assert decode_record(record_class, json.loads(encode_record(record))) == record


def test_every_message_of_the_module_is_known_by_its_name():
    defined = {
        name
        for name, value in {**vars(messages), **vars(services), **vars(turns)}.items()
        if isinstance(value, type) and issubclass(value, WorkerMessage) and value is not WorkerMessage
    }
    assert defined == {name for name, _ in MESSAGES}
    assert {"PhaseChanged", "Beat", "Measured", "Graphs", "Raised", "Done"} <= defined


def test_a_message_of_another_module_needs_nothing_else(monkeypatch):
    monkeypatch.setattr(WorkerMessage, "classes", dict(WorkerMessage.classes))

    @dataclasses.dataclass(frozen=True)
    class Heard(WorkerMessage):
        text: str

    assert decode_message(json.loads(encode_message(Heard("x")))) == Heard("x")


def test_a_field_that_is_missing_or_unknown_is_an_error():
    with pytest.raises(TypeError):
        decode_message({"m": "PhaseChanged"})
    with pytest.raises(TypeError):
        decode_message({"m": "Done", "more": 1})


REPLAYED = {"m": "Replayed", "replayed_ms": 1.0, "steps": 3, "batches": 1, "loop_cpu_ms": 0.1}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"m": "TraceBegan", "seconds": "x"}, "TraceBegan.seconds is 'x', not float"),
        ({"m": "TraceBegan", "seconds": float("nan")}, "TraceBegan.seconds is 'nan'"),
        ({"m": "TraceBegan", "seconds": float("inf")}, "TraceBegan.seconds is 'inf'"),
        ({"m": "TraceBegan", "seconds": True}, "TraceBegan.seconds is 'True'"),
        ({"m": "TraceBegan", "seconds": None}, "TraceBegan.seconds is 'None'"),
        ({**REPLAYED, "steps": 3.5}, "Replayed.steps is '3.5', not int"),
        ({**REPLAYED, "cpu_ms": "x"}, "Replayed.cpu_ms is 'x', not float"),
        ({"m": "Libraries", "versions": [], "gpus": []}, "Libraries.versions is '[]', not dict"),
        ({"m": "Libraries", "versions": {"a": 1}, "gpus": []}, "Libraries.versions is '1', not str"),
        ({"m": "Libraries", "versions": {}, "gpus": "all"}, "Libraries.gpus is 'all', not list"),
        ({"m": "PhaseChanged", "phase": {"name": "lunch"}}, "Phase.name is 'lunch', not import or data"),
        ({"m": "PhaseChanged", "phase": "build"}, "PhaseChanged.phase is 'build', not dict"),
    ],
)
def test_a_value_of_another_type_is_an_error_where_it_is_read(fields, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        decode_message(fields)


@pytest.mark.parametrize("record_class", RECORDS, ids=lambda record_class: record_class.__name__)
def test_messages_are_frozen_and_have_no_loose_dictionaries(record_class):
    assert record_class.__dataclass_params__.frozen
    loose = [name for name, hint in get_type_hints(record_class).items() if hint in (dict, dict[str, Any])]
    assert loose == []
