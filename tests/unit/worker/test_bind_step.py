"""Steps and how they are called with a batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.bind_step import fitted

PAIR = ("x", "y")


class Named(NamedTuple):
    image: str
    label: str


def one(batch: Any) -> Any:
    return [batch]


def one_and_options(batch: Any, training: bool = True) -> Any:
    return [batch, training]


def two(x: Any, y: Any) -> Any:
    return [x, y]


def two_and_weights(x: Any, y: Any, w: Any = None) -> Any:
    return [x, y, w]


def two_of_three(x: Any, y: Any, z: Any) -> Any:
    return [x, y, z]


def any_number(*parts: Any) -> Any:
    return list(parts)


def by_name(image: Any, label: Any) -> Any:
    return [image, label]


def by_any_name(image: Any, **rest: Any) -> Any:
    return [image, rest]


def train_on_batch(x: Any, y: Any = None) -> Any:
    return [x, y]


def keyword_only(*, x: Any) -> Any:
    return [x]


def nothing() -> Any: ...


@pytest.mark.parametrize(
    ("step", "batch", "got"),
    [
        (one, "a", ["a"]),
        (one, PAIR, [PAIR]),
        (one, {"a": 1}, [{"a": 1}]),
        (one_and_options, PAIR, [PAIR, True]),
        (two, PAIR, ["x", "y"]),
        (two, Named("x", "y"), ["x", "y"]),
        (two_and_weights, PAIR, ["x", "y", None]),
        (two_and_weights, ("x", "y", "w"), ["x", "y", "w"]),
        (any_number, PAIR, [PAIR]),
        (any_number, "a", ["a"]),
        (train_on_batch, PAIR, ["x", "y"]),
        (train_on_batch, "a", ["a", None]),
        (by_name, {"image": "i", "label": "l"}, ["i", "l"]),
        (by_any_name, {"image": "i", "label": "l"}, [{"image": "i", "label": "l"}, {}]),
        (keyword_only, {"x": 1}, [1]),
    ],
)
def test_a_step_gets_the_batch_or_its_parts(step: Any, batch: Any, got: list[Any]) -> None:
    # What the batch looks like is what its spec looks like.
    assert fitted(step, batch, "the step")(batch) == got


def test_a_callable_without_a_signature_gets_the_batch() -> None:
    assert fitted(max, PAIR, "the step")(PAIR) == "y"


@pytest.mark.parametrize(
    ("step", "batch", "words"),
    [
        (nothing, PAIR, "takes nothing, but a batch is a tuple of 2; expected a step with one parameter, the batch"),
        (two, "a", "takes x, y, but a batch is a single tensor; expected"),
        (two, ("a",), "takes x, y, but a batch is a tuple of 1; expected"),
        (two, {"x": 1, "z": 2}, "takes x, y, but a batch is a dict with x, z; expected"),
        (two, {"x": 1, "y": 2, "z": 3}, "takes x, y, but a batch is a dict with x, y, z; expected"),
        (keyword_only, PAIR, "takes x, but a batch is a tuple of 2"),
        (two_of_three, PAIR, "takes x, y, z, but a batch is a tuple of 2"),
    ],
)
def test_a_step_that_cannot_take_a_batch_is_told_before_it_runs(step: Any, batch: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        fitted(step, batch, "the step")
    assert str(caught.value).startswith(f"the step {words}")


def keras(*names: str) -> Any:
    """An object whose classes are those of Keras by name."""
    kind: Any = object
    for name in names:
        kind = type(name, (kind,), {"__module__": f"keras.src.{name.lower()}", "__call__": lambda _, batch: [batch]})
    return kind()


def test_a_layer_beside_the_dataset_is_no_step() -> None:
    with pytest.raises(UsageError, match=r"^it is a Keras layer \(TextVectorization\), which does not take such"):
        fitted(keras("Layer", "TextVectorization"), "a", "it")
    with pytest.raises(UsageError, match=r"a Keras model \(Sequential\).* alone, or with model.train_step after it"):
        fitted(keras("Layer", "Model", "Sequential"), PAIR, "it")
    assert fitted(keras("Layer", "Model", "Sequential"), "a", "it")("a") == ["a"]
