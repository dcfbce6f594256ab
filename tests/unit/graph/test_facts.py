from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.graph.read.function_facts import FunctionFacts, random_part

DTYPES = {1: "float32", 7: "string", 9: "int64"}


def constant(*shape: int, dtype: int = 1, texts: tuple[bytes, ...] = ()) -> Any:
    dims = [SimpleNamespace(size=size) for size in shape]
    return SimpleNamespace(
        dtype=dtype, tensor_shape=SimpleNamespace(dim=dims, unknown_rank=False), string_val=texts, ByteSize=lambda: 99
    )


def node(name: str, op: str, *inputs: str, value: Any = None, calls: str = "", axis: int = 0) -> Any:
    none = SimpleNamespace(name="")
    attr = {
        "axis": SimpleNamespace(i=axis, func=none),
        "value": SimpleNamespace(tensor=value, func=none),
        "f": SimpleNamespace(func=SimpleNamespace(name=calls)),
    }
    return SimpleNamespace(name=name, op=op, input=list(inputs), attr=attr)


def function(name: str, arguments: str, returns: list[str], *nodes: Any) -> Any:
    return SimpleNamespace(
        signature=SimpleNamespace(
            name=name,
            input_arg=[SimpleNamespace(name=one) for one in arguments.split()],
            output_arg=[SimpleNamespace(name=f"out{index}") for index in range(len(returns))],
        ),
        ret={f"out{index}": one for index, one in enumerate(returns)},
        node_def=list(nodes),
    )


def read(*functions: Any, ranks: list[int | None] | None = None, captured: list[int | None] | None = None) -> Any:
    library = {one.signature.name: one for one in functions}
    facts = FunctionFacts(library, lambda number: DTYPES[number])
    return facts.read([one.signature.name for one in functions], [0] if ranks is None else ranks, captured or [])


def test_what_is_handed_on_is_not_read() -> None:
    nodes = node("keep", "Identity", "label"), node("big", "Cast", "image")
    found = read(function("f", "image label spare", ["keep:output:0", "big:y:0", "image"], *nodes), ranks=[3, 0, 1])
    assert (found["reads"], found["passes"]) == ([0], [1, None, 0])


def test_captured_tensors_are_no_components() -> None:
    body = function("f", "index table", ["row:output:0", "table"], node("row", "GatherV2", "table", "index"))
    found = read(body, ranks=[0])
    assert (found["reads"], found["passes"]) == ([0], [None, None])


def test_functions_that_are_called_are_followed_and_of_one_that_is_not_there_nothing_is_said() -> None:
    inner = function("g", "a b", ["b", "sum:z:0"], node("sum", "AddV2", "a", "a"))
    call = node("call", "StatefulPartitionedCall", "x", "y", calls="g")
    outer = function("f", "x y", ["call:output:0", "call:output:1"], call)
    found = read(outer, inner, ranks=[0, 0])
    assert (found["reads"], found["passes"]) == ([0], [1, None])
    found = read(outer)
    assert (found["reads"], found["passes"], found["elementwise"]) == (None, None, False)


def test_constants_count_with_their_full_size() -> None:
    table = node("table", "Const", value=constant(10, 100))
    names = node("names", "Const", value=constant(2, dtype=7, texts=(b"abc", b"de")))
    body = function("f", "x", ["sum:z:0"], table, names, node("sum", "AddV2", "x", "table:output:0"))
    assert read(body)["constant_bytes"] == 4000 + 5


def test_python_may_draw_random_numbers_unseen() -> None:
    plain = read(function("f", "x", ["a:y:0"], node("a", "Neg", "x")))
    python = read(function("f", "x", ["a:output:0"], node("a", "EagerPyFunc", "x")))
    drawn = read(function("f", "x", ["a:output:0"], node("a", "RandomUniform", "x")))
    found = [(one["python"], one["random"]) for one in (plain, python, drawn)]
    assert found == [(False, False), (True, None), (False, True)]


def test_a_seed_of_an_op_or_the_program_is_seen_and_that_of_a_generator_is_not_known() -> None:
    def draws(op: str, *others: Any, **seeds: int) -> Any:
        draw = node("a", op, "x")
        draw.attr |= {name: SimpleNamespace(i=value, func=SimpleNamespace(name="")) for name, value in seeds.items()}
        return read(function("f", "x", ["a:output:0"], draw, *others)).get("seeded")

    assert draws("RandomUniform", seed=0, seed2=0) is False
    assert draws("RandomUniform", seed=0, seed2=5) is True
    assert draws("RandomUniform", seed=87654321, seed2=0) is True
    assert draws("RngReadAndSkip") is None
    assert draws("RandomUniform", node("b", "StatelessRandomUniformV2", "x"), seed=0, seed2=0) is None
    assert draws("RandomUniform", node("b", "PyFunc", "x"), seed=0, seed2=0) is None


def test_a_stateless_draw_is_random_if_its_seed_is_kept() -> None:
    draw = node("draw", "StatelessRandomUniformV2", "x")
    fixed = function("f", "x", ["draw:output:0"], draw)
    kept = function("f", "x", ["draw:output:0"], draw, node("seed", "AssignAddVariableOp", "x"))
    assert [read(one)["random"] for one in (fixed, kept)] == [False, True]


def drawn(shape: tuple[int, ...], *nodes: Any, result: str) -> Any:
    """A function that draws numbers of a constant shape, and the nodes that use them."""
    size = node("size", "Const", value=constant(*shape))
    own = function("f", "x", [result], size, node("draw", "RandomStandardNormal", "size:output:0"), *nodes)
    return random_part({}, own)


@pytest.mark.parametrize(
    ("shape", "uses", "expected"),
    [
        ((1,), ["AddV2"], True),
        ((3,), ["Mul", "AddV2"], True),
        # One number for all of a picture, as random_hue draws it.
        ((0,), ["AddV2"], False),
        ((1,), ["AdjustHue"], False),
        ((3,), ["AddV2", "Slice"], False),
    ],
)
def test_random_numbers_for_each_number_of_an_element_are_told_from_one_for_all(
    shape: tuple[int, ...], uses: list[str], expected: bool
) -> None:
    nodes = [node(f"n{at}", op, f"n{at - 1}:z:0" if at else "draw:output:0", "x") for at, op in enumerate(uses)]
    assert drawn(shape, *nodes, result=f"n{len(uses) - 1}:z:0").by_number is expected


def test_a_shape_of_the_element_is_one_of_its_numbers_and_another_op_that_draws_is_not() -> None:
    noise = node("draw", "RandomUniform", "size:output:0"), node("sum", "AddV2", "draw:output:0", "x")
    own = function("f", "x", ["sum:z:0"], node("size", "Shape", "x"), *noise)
    assert random_part({}, own).by_number
    shuffled = function("f", "x", ["draw:output:0"], node("draw", "RandomShuffle", "x"))
    assert not random_part({}, shuffled).by_number


@pytest.mark.parametrize(
    ("op", "ranks", "of_constant", "expected"),
    [
        ("AddV2", [0], (), True),
        ("AddV2", [2], (5,), True),
        ("AddV2", [0], (5,), False),  # a scalar and a vector make a vector, a batch of scalars and a vector do not
        ("AddV2", [None], (), None),
        ("DecodeJpeg", [0], (), False),
        ("ConcatV2", [1], (), False),
        ("RandomUniform", [0], (), False),
        ("SomethingNew", [0], (), False),
    ],
)
def test_elementwise(op: str, ranks: list[int | None], of_constant: tuple[int, ...], expected: bool | None) -> None:
    value, result = node("value", "Const", value=constant(*of_constant)), node("result", op, "x", "value:output:0")
    assert read(function("f", "x", ["result:z:0"], value, result), ranks=ranks)["elementwise"] is expected


@pytest.mark.parametrize(
    ("ranks", "captured", "expected"),
    [([1, 1], [], True), ([0, 1], [], False), ([1], [1], True), ([0], [1], False), ([0], [None], None)],
)
def test_components_and_captured_tensors_of_another_rank_do_not_go_together_on_a_batch(
    ranks: list[int | None], captured: list[int | None], expected: bool | None
) -> None:
    body = function("f", "x y", ["result:z:0"], node("result", "Mul", "x", "y"))
    assert read(body, ranks=ranks, captured=captured)["elementwise"] is expected


def test_a_result_that_does_not_depend_on_the_element_is_not_elementwise() -> None:
    body = function("f", "x", ["value:output:0"], node("value", "Const", value=constant()))
    assert read(body)["elementwise"] is False
