"""``--arg``: texts against the parameters of a function."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Tuple  # noqa: UP035

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.arguments import call, parse_arguments, read_value
from pipeprof.pipelines.target.target import ParsedTarget


class Split(Enum):
    TRAIN = "train"
    EVAL = 2


class Config: ...


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("-3", int, -3), ("3", float, 3.0), ("1e-3", float, 0.001), ("3", str, "3"), ("", str, ""),
        ("TRUE", bool, True), ("off", bool, False), ("a/b", Path, Path("a/b")), ("a/b", os.PathLike, Path("a/b")),
        ("none", Optional[int], None), ("a,1", Tuple[str, int], ("a", 1)),  # noqa: UP006, UP045
        ("3", str | int, 3), ("3.5", int | float, 3.5), ("None", str | None, None),
        ("2,TRAIN", list[Split] | None, [Split.EVAL, Split.TRAIN]), ("['a', 'b,c']", Sequence[str], ["a", "b,c"]),
        ("", list[int], []), ("1,a", list, [1, "a"]), ("(3, 4)", tuple[int, int] | None, (3, 4)),
        ("1,2,3", tuple[int, ...], (1, 2, 3)), ("2", Literal[1, 2], 2), ("3", Annotated[int, "what"], 3),
        ("train", Split, Split.TRAIN), ("eval", Split, Split.EVAL), ("3", Any, 3), ("{'a': 1}", object, {"a": 1}),
        ("__import__('os')", Any, "__import__('os')"),
    ],
)  # fmt: skip
def test_texts_are_read_as_the_annotation_says(text: str, annotation: Any, value: object) -> None:
    found = read_value(text, annotation)
    assert (found, type(found)) == (value, type(value))


def called(function: Callable[..., Any], *texts: str) -> Any:
    target = ParsedTarget("function", Path("f.py"), "f", arguments=parse_arguments(texts))
    return call(function, target, lambda: "alone")


@pytest.mark.parametrize(
    ("text", "annotation"),
    [
        ("3.5", int), ("a", float), ("maybe", bool), ("x", int | None), ("1,b", list[int]), ("[1,", list[int]),
        ("1", tuple[int, int]), ("medium", Literal["fast", "slow"]), ("test", Split),
        *(("x", kind) for kind in (Config, Config | None, dict[str, int], type)),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_in_one_line(text: str, annotation: Any) -> None:
    def function(a: Any) -> Any:
        return a

    function.__annotations__["a"] = annotation
    with pytest.raises(UsageError, match=r"^--arg a: [^\n]*$"):
        called(function, f"a={text}")


@pytest.mark.parametrize("text", ["batch_size", "=3", "a b=3", "", "2x=1"])
def test_an_argument_is_a_name_and_a_value(text: str) -> None:
    with pytest.raises(UsageError):
        parse_arguments([text])
    with pytest.raises(UsageError):
        parse_arguments(["a=1", "a=2"])


def test_a_function_is_called_with_values() -> None:
    def function(a: int, /, b: Optional[float] = None, *, c: list[int], **other: Any) -> Any:  # noqa: UP045
        return a, b, c, other

    assert called(function, "c=1,2", "a=5", "d=x") == (5, None, [1, 2], {"d": "x"})
    assert called(functools.partial(function, 9), "c=3", "b=1") == (9, 1.0, [3], {})
    wrapped = functools.wraps(function)(functools.partial(function, b=3))
    assert called(wrapped, "a=1", "c=") == (1, 3, [], {})


def test_without_an_annotation_the_default_tells() -> None:
    def function(a=3, b=0.5, c=True, d="a", e=(), f=Split.EVAL, g=Path()):  # type: ignore[no-untyped-def]
        return a, b, c, d, e, f, g

    given = ("a=4", "b=4", "c=no", "d=4", "e=4", "f=train", "g=x")
    assert called(function, *given) == (4, 4.0, False, "4", 4, Split.TRAIN, Path("x"))


def test_an_annotation_that_cannot_be_evaluated_hides_no_other_and_a_context_is_made() -> None:
    def function(a: int, input_context: Any, b: NotImported = None, *, c: tf.InputContext) -> object:  # type: ignore[name-defined]  # noqa: F821
        return a, input_context, b, c

    assert called(function, "a=3", "b=x") == (3, "alone", "x", "alone")


def test_names_are_those_of_the_function() -> None:
    def function(split: int, batch_size: int = 2) -> object:
        return split, batch_size

    with pytest.raises(UsageError, match=r"no such parameter — did you mean batch_size\?; it has split, batch_size$"):
        called(function, "batchsize=3")
    with pytest.raises(UsageError, match=r"^f\.py:f needs split \(int\): give --arg split=…"):
        called(function)
