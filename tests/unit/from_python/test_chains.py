"""What a function did becomes a chain of calls, or it is said why there is none."""

from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.from_python.chains import chain
from pipeprof.pipelines.from_python.literals import Folders
from pipeprof.pipelines.from_python.records import (
    Array,
    Call,
    Dataset,
    Dtype,
    NotExpressible,
    Opaque,
    RecordedBody,
    RecordedFunction,
    RecordedKey,
    RecordedTensor,
    Shape,
)

FOLDERS = Folders(Path("/code"), Path("/code"))
A, B, C, D, E = (RecordedTensor(number) for number in range(1, 6))


def call(name: str, result: Any, **arguments: Any) -> Call:
    return Call(name, "function", arguments, result)


def user(function: RecordedFunction, result: Any, **arguments: Any) -> Call:
    return Call(function.name, "user", arguments, result, function=function)


def written(element: Any, calls: list[Call], result: Any, *names: str, answers: bool = False) -> list[Any]:
    return chain(RecordedBody(element, tuple(calls), result, names), FOLDERS, answers=answers)[0]


def test_the_element_goes_from_call_to_call():
    calls = [
        call("tf.io.read_file", B, filename=A),
        call("tf.io.decode_jpeg", C, contents=B, channels=3),
        call("tf.image.resize", D, images=C, size=Shape((32, 32))),
        call("tf.cast", E, x=D, dtype=Dtype("float32")),
    ]
    assert written(A, calls, E) == [
        "tf.io.read_file",
        {"tf.io.decode_jpeg": {"channels": 3}},
        {"tf.image.resize": {"size": [32, 32]}},
        {"tf.cast": {"dtype": "float32"}},
    ]


def test_a_call_that_nothing_needs_is_left_out():
    calls = [call("tf.shape", C, input=A), call("tf.cast", B, x=A, dtype=Dtype("int32"))]
    assert written(A, calls, B) == [{"tf.cast": {"dtype": "int32"}}]


def test_a_component_of_a_tuple_makes_room_for_what_becomes_of_it():
    calls = [call("tf.math.truediv", C, x=A, y=255.0)]
    assert written((A, B), calls, (C, B)) == [{"tf.math.truediv": {"y": 255.0, "on": 0}}]


def test_fields_of_a_mapping_are_changed_and_added():
    calls = [call("tf.math.truediv", C, x=A, y=2), call("tf.math.add", D, x=C, y=B)]
    assert written({"a": A, "b": B}, calls, {"a": C, "b": B, "sum": D}) == [
        {"tf.math.truediv": {"y": 2, "on": "a"}},
        {"tf.math.add": {"on": ["a", "b"], "to": "add"}},
        {"to_dict": {"a": "a", "b": "b", "sum": "add"}},
    ]


def test_what_is_used_twice_gets_a_name_from_the_functions_parameter():
    calls = [call("tf.io.read_file", B, filename=A), call("tf.strings.length", C, input=A)]
    assert written(A, calls, (B, C), "path") == [
        {"to_dict": ["path"]},
        {"tf.io.read_file": {"on": "path", "to": "read_file"}},
        {"tf.strings.length": {"on": "path"}},
        {"to_tuple": ["read_file", "path"]},
    ]


def test_a_parsed_example_is_a_mapping_of_fields():
    calls = [
        call("tf.io.parse_single_example", {"image": B, "label": C}, serialized=A, features={}),
        call("tf.io.decode_png", D, contents=B),
    ]
    assert written(A, calls, (D, C)) == [
        {"tf.io.parse_single_example": {"features": {}}},
        {"tf.io.decode_png": {"on": "image"}},
        {"to_tuple": ["image", "label"]},
    ]


def test_operands_in_the_other_order_go_in_by_name():
    assert written(A, [call("tf.math.subtract", B, y=A, x=1.0)], B) == [{"tf.math.subtract": {"x": 1.0}}]
    swapped = [call("tf.math.subtract", C, x=B, y=A)]
    assert written((A, B), swapped, C) == [{"tf.math.subtract": {"on": [1, 0], "to": 1}}, {"select": 1}]


def test_brackets():
    keys = [
        (RecordedKey((Ellipsis, slice(None, 3)), alone=False), "..., :3"),
        (RecordedKey((slice(None, -1),), alone=True), ":-1"),
        (RecordedKey((-2,), alone=True), -2),
        (RecordedKey((None, slice(0, None, 2)), alone=False), "tf.newaxis, 0::2"),
    ]
    for key, text in keys:
        assert written(A, [call("getitem", B, x=A, key=key)], B) == [{"getitem": text}]
    named = written({"x": A, "n": B}, [call("getitem", C, x=A, key=RecordedKey((slice(None, B),), alone=True))], C)
    assert named == [{"getitem": {"key": ":n", "on": "x"}}, {"select": "x"}]


def test_a_constant_may_be_looked_into():
    names = Array("string", (2,), ["a", "b"])
    assert written(A, [call("getitem", B, x=names, key=RecordedKey((A,), alone=True))], B, "index") == [
        {"to_dict": ["index"]},
        {"tf.constant": {"value": ["a", "b"], "dtype": "string", "on": [], "to": "constant"}},
        {"getitem": {"key": "index", "on": "constant", "to": "index"}},
        {"select": "index"},
    ]


def test_several_results_go_to_fields_of_their_own():
    calls = [call("tf.split", [B, C], value=A, num_or_size_splits=2)]
    assert written(A, calls, (B, C)) == [{"tf.split": {"num_or_size_splits": 2}}]
    assert written((A, D), [call("tf.split", [B, C], value=A, num_or_size_splits=2)], (C, D), "x", "y") == [
        {"to_dict": ["x", "y"]},
        {"tf.split": {"num_or_size_splits": 2, "on": "x", "to": ["split", "split_2"]}},
        {"to_tuple": ["split_2", "y"]},
    ]


def test_a_predicates_answer_stands_alone():
    calls = [call("tf.strings.length", B, input=A), call("tf.math.greater", C, x=B, y=3)]
    assert written(A, calls, C, answers=True) == ["tf.strings.length", {"tf.math.greater": {"y": 3}}]
    assert written((A, B), [call("tf.math.greater", C, x=B, y=3)], C, answers=True) == [
        {"tf.math.greater": {"y": 3, "on": 1}}
    ]


def test_constants_in_the_result_become_fields():
    assert written(A, [], (A, 1.5), "x") == [
        {"to_dict": ["x"]},
        {"tf.constant": {"value": 1.5, "on": [], "to": "constant"}},
        {"to_tuple": ["x", "constant"]},
    ]


def test_a_list_of_fields_and_numbers_is_stacked():
    calls = [call("tf.reshape", C, tensor=A, shape=[B, -1])]
    assert written((A, B), calls, C, "x", "n") == [
        {"to_dict": ["x", "n"]},
        {"tf.constant": {"value": -1, "on": [], "to": "constant"}},
        {"tf.stack": {"on": ["n", "constant"], "to": "stack"}},
        {"tf.reshape": {"on": ["x", "stack"], "to": "x"}},
        {"select": "x"},
    ]


def test_a_number_beside_a_field_in_a_list_has_the_fields_dtype():
    seed = RecordedTensor(2, dtype="int64")
    calls = [call("tf.random.stateless_normal", C, shape=[3], seed=[seed, 7])]
    assert written(seed, calls, C, "x")[1] == {
        "tf.constant": {"value": 7, "dtype": "int64", "on": [], "to": "constant"}
    }


def branch(element: Any, result: Any, *calls: Call) -> RecordedFunction:
    del element
    return RecordedFunction("<lambda>", bodies=(RecordedBody((), calls, result),))


def test_branches_are_chains_over_what_they_use():
    flip = branch(A, C, call("tf.image.flip_left_right", C, image=A))
    calls = [call("tf.math.greater", D, x=B, y=3), call("tf.cond", E, pred=D, true_fn=flip, false_fn=branch(A, A))]
    assert written((A, B), calls, (E, B), "image", "label") == [
        {"to_dict": ["image", "label"]},
        {"tf.math.greater": {"y": 3, "on": "label", "to": "greater"}},
        {"tf.cond": {"pred": [{"select": "greater"}], "true_fn": ["tf.image.flip_left_right"], "on": "image"}},
        {"to_tuple": ["image", "label"]},
    ]
    add = branch((A, B), D, call("tf.math.add", D, x=A, y=B))
    calls = [call("tf.switch_case", E, branch_index=C, branch_fns=[add, branch((A, B), B)])]
    assert written({"a": A, "b": B, "c": C}, calls, E) == [
        {
            "tf.switch_case": {
                "branch_fns": [[{"tf.math.add": {"on": [0, 1], "to": 0}}, {"select": 0}], [{"select": 1}]],
                "branch_index": [{"select": "c"}],
                "on": ["a", "b"],
                "to": "switch_case",
            }
        },
        {"select": "switch_case"},
    ]


def test_functions_of_the_users_stand_in_where_tensorflows_cannot_be_told():
    decode = RecordedFunction("decode", "/code/input.py:decode")
    inner = call("tf.foo", B, x=A, table=Opaque("a table"))
    assert written((A, C), [inner, user(decode, B, path=A)], (B, C), "path", "label") == [
        {"python": {"function": "input.py:decode", "on": 0}}
    ]
    assert written(A, [inner, user(decode, B, path=A)], B) == [{"python": "input.py:decode"}]


def test_numpy_functions_are_named():
    function = RecordedFunction("halved", "/code/input.py:halved")
    calls = [call("tf.numpy_function", B, func=function, inp=[A], Tout=Dtype("float32"))]
    assert written(A, calls, B) == [{"tf.numpy_function": {"func": "input.py:halved", "Tout": "float32"}}]


@pytest.mark.parametrize(
    ("element", "calls", "result", "why"),
    [
        (A, [], RecordedTensor(9, "StatelessIf"), "an `if` or a loop that depends on values"),
        (A, [], RecordedTensor(9, "Fancy"), r"^it calls a function of TensorFlow that a spec cannot call \(Fancy\)$"),
        (A, [call("tf.foo", B, x=A, seed=Opaque("a generator"))], B, "tf.foo gets a generator"),
        (
            A,
            [user(RecordedFunction("f", None, "it is a method"), B, x=A)],
            B,
            "^it uses a value that a spec cannot make$",
        ),
        ((A, Dataset(3)), [], A, "datasets"),
        (A, [call("tf.add", B, x=A, y=Array("float64", (10**6,), None))], B, "an array in memory"),
    ],
)
def test_why_there_is_no_chain(element, calls, result, why):
    with pytest.raises(NotExpressible, match=why):
        written(element, calls, result)


def test_a_constant_that_stands_first_keeps_its_dtype():
    assert written(A, [call("tf.math.subtract", B, x=Array("int64", (), 2), y=A)], B, "x") == [
        {"to_dict": ["x"]},
        {"tf.constant": {"value": 2, "dtype": "int64", "on": [], "to": "constant"}},
        {"tf.math.subtract": {"on": ["constant", "x"], "to": "x"}},
        {"select": "x"},
    ]
    assert written(A, [call("tf.math.subtract", B, x=Array("int32", (), 2), y=A)], B) == [
        {"tf.math.subtract": {"x": 2}}
    ]
    assert written(A, [call("tf.math.subtract", B, x=A, y=Array("int64", (), 2))], B) == [
        {"tf.math.subtract": {"y": 2}}
    ]


@pytest.mark.parametrize(
    ("element", "item"),
    [(A, "tf.identity"), ((A, (B, C)), {"to_tuple": [0, 1]}), ({"x": A, "y": B}, {"select": ["x", "y"]})],
)
def test_a_function_that_changes_nothing(element: Any, item: Any):
    assert written(element, [], element) == [item]


def test_a_list_inside_the_result_is_packed():
    assert written(A, [], {"both": [A, 1], "fixed": [1, 2]}, "x") == [
        {"to_dict": ["x"]},
        {"tf.constant": {"value": 1, "on": [], "to": "constant"}},
        {"tf.stack": {"on": ["x", "constant"], "to": "stack"}},
        {"tf.constant": {"value": [1, 2], "on": [], "to": "constant_2"}},
        {"to_dict": {"both": "stack", "fixed": "constant_2"}},
    ]
