"""Which functions end with a cast to a wider type."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.graph.read.widening import largest, widened

WIDTHS = {1: 4, 3: 4, 4: 1}


def node(name: str, op: str, *inputs: str, types: tuple[int, int] = (4, 1)) -> Any:
    attr = {key: SimpleNamespace(type=kind) for key, kind in zip(("SrcT", "DstT"), types, strict=True)}
    return SimpleNamespace(name=name, op=op, input=list(inputs), attr=attr)


def found(*nodes: Any, returns: str = "last:z:0") -> Any:
    function = SimpleNamespace(
        signature=SimpleNamespace(output_arg=[SimpleNamespace(name="out")]), ret={"out": returns}, node_def=list(nodes)
    )
    return widened(function, ["captured"], WIDTHS.get).get(0)


CAST = node("cast", "Cast", "decoded:image:0")
DECODED = node("decoded", "DecodeJpeg", "raw")


def test_numbers_are_cast_and_scaled_at_the_end() -> None:
    scale = node("scale", "Const")
    last = node("last", "Mul", "cast:y:0", "scale:output:0", "^decoded")
    wide = found(DECODED, scale, CAST, last)
    assert wide == (("last", "cast"), 4, 1)
    assert found(DECODED, CAST, node("last", "Sub", "cast:y:0", "captured")).nodes == ("last", "cast")


@pytest.mark.parametrize(
    "last",
    [
        node("last", "ResizeBilinear", "cast:y:0", "size"),
        node("last", "AddV2", "cast:y:0", "noise:output:0"),
        node("last", "Cast", "decoded:image:0", types=(3, 1)),
        node("last", "Cast", "decoded:image:0", types=(1, 4)),
        node("last", "Identity", "raw"),
    ],
    ids=lambda one: one.op,
)
def test_other_ends_are_none(last: Any) -> None:
    assert found(DECODED, CAST, last) is None


def test_each_result_has_its_place() -> None:
    """A label that stays, a picture and a weight that are made wider."""
    returns = {"label": "decoded:label:0", "picture": "cast:y:0", "weight": "last:z:0"}
    function = SimpleNamespace(
        signature=SimpleNamespace(output_arg=[SimpleNamespace(name=name) for name in returns]),
        ret=returns,
        node_def=[DECODED, CAST, node("last", "Cast", "decoded:weight:0", types=(4, 3))],
    )
    assert {place: one.after for place, one in widened(function, [], WIDTHS.get).items()} == {1: 1, 2: 3}
    assert largest([0, 1, 2], [[], [None, 160, 3], [None, 4, 3]]) == 1
    assert largest([0, 2], [[], [160, 160, 3], [8]]) == 2
