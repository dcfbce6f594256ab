"""``--arg``: texts against the parameters of a function."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, List, Literal, Optional, Tuple, Union  # noqa: UP035

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
        ("-3", int, -3),
        ("3", float, 3.0),
        ("1e-3", float, 0.001),
        ("3", str, "3"),
        ("", str, ""),
        ("TRUE", bool, True),
        ("off", bool, False),
        ("0", bool, False),
        ("a/b", Path, Path("a/b")),
        ("a/b", os.PathLike, Path("a/b")),
        ("none", Optional[int], None),  # noqa: UP045
        ("3", int | None, 3),
        ("3", str | int, 3),
        ("3.5", int | float, 3.5),
        ("x", Union[int, str], "x"),  # noqa: UP007
        ("None", str | None, None),
        ("1,2", list[int], [1, 2]),
        ("[1, 2]", List[int], [1, 2]),  # noqa: UP006
        ("['a', 'b,c']", Sequence[str], ["a", "b,c"]),
        ("a, b", list[str], ["a", "b"]),
        ("", list[int], []),
        ("1,a", list, [1, "a"]),
        ("224,224", tuple[int, int], (224, 224)),
        ("(224, 224)", tuple[int, int] | None, (224, 224)),
        ("1,2,3", tuple[int, ...], (1, 2, 3)),
        ("a,1", Tuple[str, int], ("a", 1)),  # noqa: UP006
        ("fast", Literal["fast", "slow"], "fast"),
        ("2", Literal[1, 2], 2),
        ("3", Annotated[int, "what"], 3),
        ("train", Split, Split.TRAIN),
        ("eval", Split, Split.EVAL),
        ("2,TRAIN", list[Split] | None, [Split.EVAL, Split.TRAIN]),
        ("3", Any, 3),
        ("train", Any, "train"),
        ("{'a': 1}", object, {"a": 1}),
        ("none", Any, None),
        ("__import__('os')", Any, "__import__('os')"),
    ],
)
def test_texts_are_read_as_the_annotation_says(text: str, annotation: Any, value: object) -> None:
    found = read_value(text, annotation)
    assert (found, type(found)) == (value, type(value))


def given(*texts: str) -> ParsedTarget:
    return ParsedTarget("function", Path("f.py"), "f", arguments=parse_arguments(texts))


def called(function: Callable[..., Any], *texts: str) -> Any:
    return call(function, given(*texts), lambda: "alone")


@pytest.mark.parametrize(
    ("text", "annotation", "words"),
    [
        ("3.5", int, "got '3.5', expected int"),
        ("a", float, "got 'a', expected float"),
        ("maybe", bool, "got 'maybe', expected bool"),
        ("x", int | None, r"got 'x', expected int \| None"),
        ("1,b", list[int], r"got '1,b', expected list\[int\]"),
        ("[1,", list[int], r"got '\[1,', expected list\[int\]"),
        ("1", tuple[int, int], r"got '1', expected tuple\[int, int\]"),
        ("medium", Literal["fast", "slow"], r"got 'medium', expected .*Literal"),
        ("test", Split, "got 'test', expected one of TRAIN, EVAL"),
        ("x", Config, "cannot be given as text"),
        ("x", Config | None, "cannot be given as text"),
        ("x", dict[str, int], "cannot be given as text"),
        ("x", Callable[[int], int], "cannot be given as text"),
    ],
)
def test_what_does_not_fit_says_what_would(text: str, annotation: Any, words: str) -> None:
    def function(a: Any) -> Any:
        return a

    function.__annotations__["a"] = annotation
    with pytest.raises(UsageError, match=f"^--arg a: .*{words}") as caught:
        called(function, f"a={text}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["batch_size", "=3", "a b=3", "", "2x=1"])
def test_an_argument_is_a_name_and_a_value(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected name=value such as batch_size=64"):
        parse_arguments([text])
    with pytest.raises(UsageError, match=r"given twice \('1' and '2'\)"):
        parse_arguments(["a=1", "a=2"])


def test_a_function_is_called_with_values() -> None:
    def function(a: int, /, b: Optional[float] = None, *, c: list[int], **other: Any) -> Any:  # noqa: UP045
        return a, b, c, other

    assert called(function, "c=1,2", "a=5", "d=x") == (5, None, [1, 2], {"d": "x"})
    assert called(functools.partial(function, 9), "c=3", "b=1") == (9, 1.0, [3], {})
    assert called(functools.wraps(function)(functools.partial(function, b=3)), "a=1", "c=") == (
        1, 3, [], {},
    )  # fmt: skip


def test_without_an_annotation_the_default_tells() -> None:
    def function(a=3, b=0.5, c=True, d="a", e=(), f=Split.EVAL, g=Path()):  # type: ignore[no-untyped-def]
        return a, b, c, d, e, f, g

    assert called(function, "a=4", "b=4", "c=no", "d=4", "e=4", "f=train", "g=x") == (
        4, 4.0, False, "4", 4, Split.TRAIN, Path("x"),
    )  # fmt: skip


def test_annotations_that_cannot_be_evaluated_hide_no_others() -> None:
    def function(a: int, b: NotImported = None) -> object:  # type: ignore[name-defined]  # noqa: F821
        return a, b

    assert called(function, "a=3") == (3, None)
    assert called(function, "a=3", "b=x") == (3, "x")


def test_a_worker_that_is_alone_needs_no_context_given() -> None:
    def function(input_context: Any, size: int, other: tf.distribute.InputContext) -> Any:  # type: ignore[name-defined]  # noqa: F821
        return input_context, size, other

    assert called(function, "size=2") == ("alone", 2, "alone")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["batchsize=3"], "no such parameter — did you mean batch_size?; it has split, batch_size"),
        ([], "f.py:f needs split (Split): give --arg split=…"),
    ],
)
def test_names_are_those_of_the_function(texts: list[str], message: str) -> None:
    def function(split: Split, batch_size: int = 2) -> object:
        return split, batch_size

    with pytest.raises(UsageError) as caught:
        called(function, *texts)
    assert message.replace("Split", "unit.target.test_arguments.Split") in str(caught.value).replace(
        f"{Split.__module__}.Split", "unit.target.test_arguments.Split"
    )
