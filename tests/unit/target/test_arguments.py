"""``--arg``: names and texts against a function's signature, without importing anything."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any, Optional

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.annotations import UnsupportedError, read_value
from pipeprof.pipelines.target.arguments import (
    bind,
    call,
    check_arguments,
    parse_arguments,
    signature_of,
    written_signature,
)
from pipeprof.pipelines.target.target import ParsedTarget, parse_target

SOURCE = """\
import never_installed
from elsewhere import imported

def train(split: str, batch_size: "int" = 32, *, rate: float | None = None, config: Config = None, n=3, **other): ...
def plain(a, b: int, /): ...
def configured(config: Config, split: str): ...
def alone(): ...
def sharded(input_context, context: tf.distribute.InputContext): ...
@decorated
def changed(x): ...
if here:
    def conditional(a): ...
else:
    def conditional(b): ...
made = alone
from mine import Kind
import theirs
class Split(enum.Enum): ...
class Config: ...
Mode = Literal["fast", "exact"]
Size = tuple[int, int] | None
def named(s: Split, k: "Kind", m: Mode, z: Size, t: theirs.Kind, d: tf.DType, c: Config): ...
"""


@pytest.fixture
def target(tmp_path: Path) -> Callable[..., ParsedTarget]:
    (tmp_path / "f.py").write_text(SOURCE)

    def make(function: str, *texts: str) -> ParsedTarget:
        return replace(parse_target(f"{tmp_path}/f.py:{function}"), arguments=parse_arguments(texts))

    return make


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("3", "int", 3),
        ("-3", "int", -3),
        ("3", "float", 3.0),
        ("1e-3", "float", 0.001),
        ("3", "str", "3"),
        ("", "str", ""),
        ("TRUE", "bool", True),
        ("off", "bool", False),
        ("0", "bool", False),
        ("a/b", "Path", Path("a/b")),
        ("a/b", "pathlib.Path", Path("a/b")),
        ("a/b", "str | os.PathLike", Path("a/b")),
        ("none", "Optional[int]", None),
        ("3", "typing.Optional[int]", 3),
        ("3", "int | None", 3),
        ("3", "'int | None'", 3),
        ("3", "str | int", 3),
        ("3.5", "int | float", 3.5),
        ("x", "Union[int, str]", "x"),
        ("None", "str | None", None),
        ("1,2", "list[int]", [1, 2]),
        ("[1, 2]", "List[int]", [1, 2]),
        ("['a', 'b,c']", "Sequence[str]", ["a", "b,c"]),
        ("a, b", "list[str]", ["a", "b"]),
        ("", "list[int]", []),
        ("1,a", "list", [1, "a"]),
        ("224,224", "tuple[int, int]", (224, 224)),
        ("1,2,3", "tuple[int, ...]", (1, 2, 3)),
        ("a,1", "Tuple[str, int]", ("a", 1)),
        ("fast", "Literal['fast', 'slow']", "fast"),
        ("2", "Literal[1, 2]", 2),
        ("3", "Annotated[int, 'what']", 3),
        ("3", "Any", 3),
        ("train", "Any", "train"),
        ("{'a': 1}", None, {"a": 1}),
        ("train", None, "train"),
        ("none", None, None),
    ],
)
def test_texts_are_read_as_the_annotation_says(text: str, annotation: str | None, value: object) -> None:
    found = read_value(text, annotation)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "annotation", "words"),
    [
        ("3.5", "int", "expected int"),
        ("a", "float", "expected float"),
        ("maybe", "bool", "expected bool (true or false)"),
        ("x", "int | None", "expected int | None"),
        ("1,b", "list[int]", "expected int"),
        ("1", "tuple[int, int]", "expected 2 values for tuple[int, int]"),
        ("medium", "Literal['fast', 'slow']", "expected one of 'fast', 'slow'"),
    ],
)
def test_what_does_not_fit_says_what_would(text: str, annotation: str, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        read_value(text, annotation)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("annotation", ["Config", "dict[str, int]", "Callable[[int], int]", "Config | None", "1 +"])
def test_some_annotations_take_no_text(annotation: str) -> None:
    with pytest.raises(UnsupportedError):
        read_value("x", annotation)


@pytest.mark.parametrize(
    ("default", "text", "value"), [(3, "4", 4), (0.5, "4", 4.0), (True, "no", False), ("a", "4", "4"), ((), "4", 4)]
)
def test_without_an_annotation_the_default_tells(default: object, text: str, value: object) -> None:
    found = read_value(text, None, default)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["batch_size", "=3", "a b=3", "", "2x=1"])
def test_an_argument_is_a_name_and_a_value(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected name=value such as batch_size=64"):
        parse_arguments([text])


def test_a_name_is_given_once() -> None:
    with pytest.raises(UsageError, match=r"--arg a: given twice \('1' and '2'\); write a list as a=1,2,3"):
        parse_arguments(["a=1", "a=2"])


def test_the_file_tells_the_signature_without_being_run(target: Callable[..., ParsedTarget]) -> None:
    made = target("train", "split=train", "batch_size=8", "rate=none", "n=7", "anything=x")
    assert bind(made, written_signature(made)) == {
        "split": "train",
        "batch_size": 8,
        "rate": None,
        "n": 7,
        "anything": "x",
    }


@pytest.mark.parametrize(
    ("function", "texts", "message"),
    [
        ("train", [], "needs split (str); give --arg split=…"),
        ("plain", ["a=1"], "needs b (int); give --arg b=…"),
        ("configured", [], "needs config (Config), which cannot be given as text; measure a function that creates it"),
        ("configured", ["config=1"], "--arg config: a Config cannot be given as text"),
        ("alone", ["splt=1"], "--arg splt: {target} has no such parameter; it has none"),
        ("plain", ["aa=1"], "--arg aa: {target} has no such parameter; it has a, b"),
        ("train", ["split=a", "batch_size=x"], "--arg batch_size: got 'x', expected int"),
        ("train", ["split=a", "config=x"], "--arg config: a Config cannot be given as text"),
    ],
)
def test_what_does_not_fit_the_signature(
    target: Callable[..., ParsedTarget], function: str, texts: list[str], message: str
) -> None:
    made = target(function, *texts)
    with pytest.raises(UsageError) as caught:
        check_arguments(made)
    assert message.format(target=made) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s=x", None),
        ("k=x", None),
        ("t=x", None),
        ("m=fast", None),
        ("m=fat", "--arg m: got 'fat', expected one of 'fast', 'exact'"),
        ("z=3,4", None),
        ("z=none", None),
        ("z=3", "--arg z: got '3', expected tuple[int, int] | None"),
        ("d=x", "--arg d: a tf.DType cannot be given as text"),
        ("c=x", "--arg c: a Config cannot be given as text"),
    ],
)
def test_aliases_are_looked_up_in_the_file_and_enums_left_for_its_run(
    target: Callable[..., ParsedTarget], text: str, message: str | None
) -> None:
    made = target("named", text)
    given = dict(made.arguments)
    rest = tuple((name, "x") for name in "skmztdc" if name not in given)
    signature = written_signature(made)
    fitting = replace(signature, parameters=tuple(one for one in signature.parameters if one.name in given))
    assert len(rest) == 6
    if message is None:
        assert list(bind(made, fitting)) == list(given)
        return
    with pytest.raises(UsageError) as caught:
        bind(made, fitting)
    assert str(caught.value).startswith(message)


class Split(Enum):
    TRAIN = "train"
    EVAL = 2


def test_a_member_of_an_enum_is_given_by_its_name_or_its_value() -> None:
    def function(s: Split, o: Split | None = None, e: list[Split] | None = None, d=Split.EVAL) -> tuple[Any, ...]:
        return s, o, e, d

    made = ParsedTarget("function", Path("f.py"), "f")
    given = (("s", "train"), ("o", "none"), ("e", "2,TRAIN"), ("d", "Train"))
    assert call(function, replace(made, arguments=given), object) == (
        Split.TRAIN,
        None,
        [Split.EVAL, Split.TRAIN],
        Split.TRAIN,
    )
    with pytest.raises(UsageError, match="--arg s: got 'test', expected one of TRAIN, EVAL"):
        call(function, replace(made, arguments=(("s", "test"),)), object)
    with pytest.raises(UsageError, match=r"--arg o: got 'test', expected Split \| None"):
        call(function, replace(made, arguments=(("s", "train"), ("o", "test"))), object)


def test_annotations_that_cannot_be_evaluated_are_read_as_they_are_written() -> None:
    def function(a: "int", b: "NotImported" = None) -> object:  # noqa: F821, UP037
        return a, b

    made = ParsedTarget("function", Path("f.py"), "f", arguments=(("a", "3"),))
    assert call(function, made, object) == (3, None)


def test_the_nearest_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def f(batch_size=2): ...\n")
    made = replace(parse_target(f"{tmp_path}/f.py:f"), arguments=(("batchsize", "3"),))
    with pytest.raises(UsageError, match=r"no such parameter — did you mean batch_size\?; it has batch_size"):
        check_arguments(made)


@pytest.mark.parametrize("function", ["imported", "changed", "conditional", "made"])
def test_what_only_running_the_file_can_tell_is_left_for_then(
    target: Callable[..., ParsedTarget], function: str
) -> None:
    made = target(function, "whatever=3")
    assert written_signature(made) is None
    check_arguments(made)


def test_a_worker_that_is_alone_needs_no_context_given(target: Callable[..., ParsedTarget]) -> None:
    check_arguments(target("sharded"))

    def sharded(input_context: Any, size: int = 1) -> tuple[Any, int]:
        return input_context, size

    made = replace(target("sharded"), arguments=(("size", "2"),))
    assert call(sharded, made, lambda: "alone") == ("alone", 2)


def test_a_function_at_hand_is_called_with_values() -> None:
    def positional(a: int, /, b: Optional[float] = None, *, c: "list[int]") -> tuple[Any, ...]:  # noqa: UP037, UP045
        return a, b, c

    made = ParsedTarget("function", Path("f.py"), "f", arguments=(("c", "1,2"), ("a", "5")))
    assert call(positional, made, object) == (5, None, [1, 2])
    partial = functools.partial(positional, 9)
    assert call(partial, replace(made, arguments=(("c", "3"), ("b", "1"))), object) == (9, 1.0, [3])


def test_annotations_that_are_objects_are_read_as_text() -> None:
    def function(a: Path, b: int | None, c: Optional[str] = None) -> None:  # noqa: UP045
        del a, b, c

    function.__annotations__ = {"a": Path, "b": int | None, "c": Optional[str]}  # noqa: UP045
    names = {one.name: one.annotation for one in signature_of(function).parameters}
    assert read_value("x", names["a"]) == Path("x")
    assert read_value("3", names["b"]) == 3
    assert read_value("3", names["c"]) == "3"
