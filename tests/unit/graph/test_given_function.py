"""Names of the functions that datasets are made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.pipelines.graph.observe.build_hook import _name


class Layer:
    def __call__(self, value: int, training: bool = False) -> int:
        return value + training


def double(value: int) -> int:
    return 2 * value


augment, other = Layer(), Layer()


def inside() -> Callable[..., Any]:
    layer = Layer()
    return lambda x, y: (layer(x, training=True), y)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x, y: (augment(x, training=True), y), "augment"),
        (inside(), "layer"),
        (lambda x: augment(other(x)), None),
        (lambda x: augment(double(x)), "double"),
        (lambda x: x + 1, None),
    ],
)
def test_a_lambda_has_the_name_of_what_it_calls(function: Callable[..., Any], name: str | None) -> None:
    assert _name(function, None) == name
