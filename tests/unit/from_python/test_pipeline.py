"""Records of what was called become a spec; what cannot be told is covered by the user's own functions."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeprof.pipelines.from_python.literals import Folders
from pipeprof.pipelines.from_python.pipeline import Describer, PythonPart, top_level_calls
from pipeprof.pipelines.from_python.records import (
    Array,
    Call,
    Dataset,
    Dtype,
    NotExpressible,
    RecordedBody,
    RecordedCalls,
    RecordedFunction,
    RecordedOptions,
    RecordedTensor,
    SourcePlace,
)
from pipeprof.pipelines.from_python.text import spec_text
from pipeprof.pipelines.from_python.user_functions import TARGET
from pipeprof.pipelines.spec.models import Spec

FOLDERS = Folders(Path("/code"), Path("/code"))
LAMBDA = RecordedFunction("<lambda>", None, "a lambda has no name that a spec could call it by")


def chain(*calls: tuple[str, dict[str, Any]], first: int = 1) -> dict[int, Call]:
    """Calls one after the other, the first of which is a source."""
    found = {}
    for number, (name, arguments) in enumerate(calls, first):
        kind = "source" if number == first else "stage"
        given = arguments if number == first else {"self": Dataset(number - 1), **arguments}
        found[number] = Call(
            name, kind, given, Dataset(number), SourcePlace("/code/input.py", 10 + number), 100 + number
        )
    return found


def describe(
    calls: dict[int, Call], root: int, users: tuple[Call, ...] = (), **more: Any
) -> tuple[dict[str, Any], Describer]:
    describer = Describer(RecordedCalls(Dataset(root), calls, users, **more), FOLDERS)
    data = describer.describe("train").data
    Spec.model_validate(data)
    return data, describer


def test_sources_and_stages_with_tensorflows_names():
    calls = chain(
        ("range", {"args": (2, 10), "kwargs": {}}),
        ("shuffle", {"buffer_size": Array("int64", (), 8), "seed": 1}),
        ("batch", {"batch_size": 2, "drop_remainder": True, "num_parallel_calls": -1}),
        ("take", {"count": -1}),
        ("prefetch", {"buffer_size": -1}),
        (
            "with_options",
            {"options": RecordedOptions({"deterministic": False, "threading": {"private_threadpool_size": 2}})},
        ),
    )
    data, describer = describe(calls, 6, seed=3)
    assert data == {
        "version": 1,
        "name": "train",
        "source": {"range": {"start": 2, "stop": 10}},
        "stages": [
            {"shuffle": {"buffer_size": 8, "seed": 1}},
            {"batch": {"batch_size": 2, "drop_remainder": True, "num_parallel_calls": "AUTOTUNE"}},
            {"take": {"count": -1}},
            {"prefetch": {"buffer_size": "AUTOTUNE"}},
        ],
        "options": {"deterministic": False, "threading": {"private_threadpool_size": 2}},
        "measure": {"seed": 3},
    }
    assert describer.notes.found == []


def body(element: Any, result: Any, *calls: Call) -> RecordedFunction:
    return RecordedFunction("<lambda>", None, "a lambda has no name", None, (RecordedBody(element, calls, result),))


def test_functions_become_chains_and_nested_pipelines():
    name, number = RecordedTensor(50), RecordedTensor(51)
    calls = chain(
        ("list_files", {"file_pattern": "a-*", "shuffle": False}),
        ("interleave", {"map_func": body(name, Dataset(21)), "cycle_length": 4}),
        (
            "map",
            {
                "map_func": body(
                    number,
                    RecordedTensor(52),
                    Call("tf.cast", "function", {"x": number, "dtype": Dtype("int32")}, RecordedTensor(52)),
                )
            },
        ),
    )
    inner = chain(
        ("TFRecordDataset", {"filenames": name, "compression_type": "GZIP"}), ("take", {"count": 3}), first=20
    )
    data, _ = describe({**calls, **inner}, 3)
    assert data["stages"] == [
        {
            "interleave": {
                "source": {"TFRecordDataset": {"compression_type": "GZIP"}},
                "stages": [{"take": {"count": 3}}],
                "cycle_length": 4,
            }
        },
        {"map": {"ops": [{"tf.cast": {"dtype": "int32"}}]}},
    ]


def test_a_name_stands_once():
    calls = chain(
        ("range", {"args": (3,), "kwargs": {"name": "numbers"}}),
        ("skip", {"count": 1, "name": "part"}),
        ("take", {"count": 2, "name": "part"}),
    )
    data, describer = describe(calls, 3)
    assert data["source"] == {"range": {"name": "numbers", "stop": 3}}
    assert data["stages"] == [{"skip": {"name": "part", "count": 1}}, {"take": {"count": 2}}]
    assert describer.notes.found == []
    assert [str(one) for one in describer.notes.asides] == [
        "/code/input.py:13: take: name 'part' omitted: another stage has it"
    ]


def test_the_innermost_reason_is_said_once():
    inner = {
        11: Call("from_tensors", "source", {"tensors": RecordedTensor(1)}, Dataset(11)),
        12: Call("map", "stage", {"self": Dataset(11), "map_func": LAMBDA}, Dataset(12)),
    }
    outer = RecordedFunction("<lambda>", None, LAMBDA.why, None, (RecordedBody(RecordedTensor(1), (), Dataset(12)),))
    around = {
        21: Call("from_tensors", "source", {"tensors": RecordedTensor(2)}, Dataset(21)),
        22: Call("interleave", "stage", {"self": Dataset(21), "map_func": outer}, Dataset(22)),
    }
    outmost = RecordedFunction("<lambda>", None, LAMBDA.why, None, (RecordedBody(RecordedTensor(2), (), Dataset(22)),))
    calls = {**chain(("range", {"args": (3,)}), ("flat_map", {"map_func": outmost})), **inner, **around}
    describer = Describer(RecordedCalls(Dataset(2), calls), FOLDERS)
    with pytest.raises(NotExpressible):
        describer.describe("train")
    (said,) = map(str, describer.notes.found)
    assert said.count("the lambda cannot be written as YAML") == said.count("a lambda has no name") == 1
    assert "flat_map: in its function, interleave: in its function, map: the lambda cannot be written as YAML" in said


def test_windows_begin_with_the_elements_dataset():
    window = Dataset(40)
    calls = chain(
        ("range", {"args": (9,)}),
        ("window", {"size": 3}),
        ("flat_map", {"map_func": body((window, RecordedTensor(9)), Dataset(41))}),
    )
    calls[41] = Call("batch", "stage", {"self": window, "batch_size": 3}, Dataset(41))
    data, _ = describe(calls, 3)
    assert data["stages"][1] == {"flat_map": {"on": 0, "stages": [{"batch": {"batch_size": 3}}]}}


def test_combined_pipelines():
    calls = {
        1: Call("range", "source", {"args": (3,)}, Dataset(1)),
        2: Call("range", "source", {"args": (4,)}, Dataset(2)),
        3: Call("zip", "source", {"args": ((Dataset(1), {"b": Dataset(2)}),)}, Dataset(3)),
        4: Call("concatenate", "stage", {"self": Dataset(3), "dataset": Dataset(3)}, Dataset(4)),
    }
    data, _ = describe(calls, 4)
    zipped = {"zip": {"datasets": [{"source": {"range": {"stop": 3}}}, {"b": {"source": {"range": {"stop": 4}}}}]}}
    assert data["source"] == zipped
    assert data["stages"] == [{"concatenate": {"dataset": {"source": zipped}}}]


def test_a_named_function_stays_python_and_that_is_said():
    named = RecordedFunction("decode", "/code/input.py:decode", "", SourcePlace("/code/input.py", 3))
    calls = chain(("range", {"args": (3,)}), ("map", {"map_func": named, "num_parallel_calls": 2}))
    data, describer = describe(calls, 2)
    assert data["stages"] == [{"map": {"python": "input.py:decode", "num_parallel_calls": 2}}]
    assert [str(one) for one in describer.notes.found] == [
        "/code/input.py:3: map decode: stays Python: pipeprof could not see which calls it makes"
    ]


def untold() -> dict[int, Call]:
    return chain(("range", {"args": (3,)}), ("map", {"map_func": LAMBDA}), ("batch", {"batch_size": 2}), ("repeat", {}))


def user(name: str, arguments: dict[str, Any], result: Any) -> Call:
    return Call(name, "user", arguments, result, function=RecordedFunction(name, f"/code/input.py:{name}"))


def test_a_function_that_makes_the_beginning_covers_it():
    users = (user("all", {}, Dataset(4)), user("base", {}, Dataset(3)), user("made", {"n": Dtype("int8")}, Dataset(2)))
    data, _ = describe(untold(), 4, users)
    assert data["source"] == {"python": {"function": "input.py:base", "without": ["batch"]}}
    assert data["stages"] == [{"batch": {"batch_size": 2}}, {"repeat": {}}]
    data, _ = describe(untold(), 4, (*users, user("given", {"n": 1, "kind": ("a", None)}, Dataset(2))))
    assert data["source"] == {"python": {"function": "input.py:given(..., n=1, kind=('a', None))"}}


def test_the_target_makes_the_beginning_up_to_the_last_stage_that_cannot_be_expressed():
    calls = {
        **untold(),
        5: Call("map", "stage", {"self": Dataset(4), "map_func": LAMBDA}, Dataset(5), SourcePlace("/code/input.py", 3)),
        6: Call("cache", "stage", {"self": Dataset(5)}, Dataset(6)),
        7: Call(
            "with_options",
            "stage",
            {"self": Dataset(6), "options": RecordedOptions({"deterministic": True})},
            Dataset(7),
        ),
    }
    describer = Describer(RecordedCalls(Dataset(7), calls), FOLDERS, target="/code/input.py:train(..., size=3)")
    described = describer.describe("train")
    assert described.data["source"] == {
        "python": {"function": "input.py:train(..., size=3)", "without": ["cache", "with_options"]}
    }
    assert described.data["stages"] == [{"cache": {}}]
    assert described.data["options"] == {"deterministic": True}
    assert described.calls["source"] == TARGET
    assert described.python == PythonPart("map", SourcePlace("/code/input.py", 3))
    assert [one.what for one in describer.notes.found] == ["map", "map"]
    Spec.model_validate(described.data)


def test_stages_that_a_function_replaces_are_named_after_tensorflows():
    calls = untold()
    calls[5] = Call("map", "stage", {"self": Dataset(4), "map_func": LAMBDA}, Dataset(5))
    calls[6] = Call("prefetch", "stage", {"self": Dataset(5), "buffer_size": 2}, Dataset(6))
    change = user("change", {"ds": Dataset(4), "rate": 0.5}, Dataset(6))
    describer = Describer(RecordedCalls(Dataset(6), calls, (change,)), FOLDERS, target="/code/input.py:train")
    data = describer.describe("train").data
    assert data["source"] == {
        "python": {"function": "input.py:train", "without": ["batch", "repeat", "map", "prefetch"]}
    }
    assert data["stages"][2] == {"apply": {"python": "input.py:change(..., rate=0.5)"}}


def test_a_seed_of_the_functions_becomes_an_argument():
    calls = chain(("range", {"args": (3,)}), ("shuffle", {"buffer_size": 3}))
    described = Describer(RecordedCalls(Dataset(2), calls), FOLDERS, seeds={102: 7}).describe("a")
    assert described.data["stages"] == [{"shuffle": {"buffer_size": 3, "seed": 7}}]


def test_calls_of_a_whole_pipeline_are_in_order():
    assert [call.name for call in top_level_calls(RecordedCalls(Dataset(4), untold()))] == [
        "range",
        "map",
        "batch",
        "repeat",
    ]


def test_a_function_from_dataset_to_dataset_covers_a_stage():
    users = (user("all", {}, Dataset(4)), user("change", {"ds": Dataset(1)}, Dataset(2)))
    data, describer = describe(untold(), 4, users)
    assert data["stages"] == [{"apply": {"python": "input.py:change"}}, {"batch": {"batch_size": 2}}, {"repeat": {}}]
    assert len(describer.notes.found) == 1


def test_without_such_a_function_nothing_is_told():
    with pytest.raises(NotExpressible, match="a lambda has no name"):
        describe(untold(), 4)


def test_a_dataset_that_was_not_seen_is_no_source():
    calls = {5: Call("batch", "stage", {"self": Dataset(4), "batch_size": 2}, Dataset(5))}
    with pytest.raises(NotExpressible, match="no function of TensorFlow that a spec knows made this dataset"):
        describe(calls, 5)


def test_what_came_out_different_is_not_told_again():
    named = RecordedFunction(
        "f",
        "/code/input.py:f",
        "",
        None,
        body(
            RecordedTensor(1),
            RecordedTensor(2),
            Call("tf.abs", "function", {"x": RecordedTensor(1)}, RecordedTensor(2)),
        ).bodies,
    )
    calls = chain(("range", {"args": (3,)}), ("map", {"map_func": named}))
    first = Describer(RecordedCalls(Dataset(2), calls), FOLDERS)
    described = first.describe("a")
    assert described.data["stages"] == [{"map": {"ops": ["tf.abs"]}}]
    again = Describer(
        RecordedCalls(Dataset(2), calls), FOLDERS, dict.fromkeys(described.chains.values(), "it differs")
    ).describe("a")
    assert again.data["stages"] == [{"map": {"python": "input.py:f"}}]
    with pytest.raises(NotExpressible, match="refused"):
        Describer(RecordedCalls(Dataset(2), calls), FOLDERS, denied={described.calls["stages.0"]: "refused"}).describe(
            "a"
        )


def test_the_text_says_the_data_with_the_lines_of_the_users_code():
    calls = chain(
        ("range", {"args": (3,)}),
        (
            "map",
            {
                "map_func": body(
                    RecordedTensor(1),
                    RecordedTensor(2),
                    Call("tf.abs", "function", {"x": RecordedTensor(1)}, RecordedTensor(2)),
                )
            },
        ),
        ("batch", {"batch_size": 2}),
    )
    describer = Describer(RecordedCalls(Dataset(3), calls), FOLDERS)
    described = describer.describe("train")
    describer.notes.add("step", "it is a lambda", SourcePlace("/code/input.py", 7))
    text = spec_text(described, describer.notes.found, (), "input.py:train", Path("/code"))
    assert yaml.safe_load(text) == {**described.data, "step": "none"}
    lines = text.splitlines()
    assert "  range: {stop: 3}  # input.py:11" in lines
    assert lines[lines.index("  - map:  # input.py:12") :][:3] == [
        "  - map:  # input.py:12",
        "      ops:",
        "        - tf.abs",
    ]
    assert "  - batch: {batch_size: 2}  # input.py:13" in lines
    assert "#   input.py:7: step: it is a lambda" in lines
