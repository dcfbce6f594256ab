"""The hook that observes a build: what it reports, and that a profiler of the user's is left as it was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from pipeprof.pipelines.graph.observe.build_hook import BuildHook, WatchedCall, _name


def users(*_: object) -> None:
    """A profiler of the user's."""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """No test leaves a hook behind."""
    before, in_threads = sys.getprofile(), threading.getprofile()
    yield
    left = sys.getprofile(), threading.getprofile()
    sys.setprofile(before)
    threading.setprofile(in_threads)
    assert left in ((before, in_threads), (users, in_threads))


def double(number: int) -> int:
    return 2 * number


def half(number: int) -> float:
    return number / 2


def fail(number: int) -> int:
    raise ValueError(number)


class Reports:
    """Returns of functions, as a hook reports them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def __call__(self, frame: FrameType, value: Any) -> None:
        self.seen.append((frame.f_code.co_name, value))


def test_returns_of_the_functions_that_are_watched_are_reported() -> None:
    reports, before = Reports(), sys.getprofile()
    with BuildHook([(double, reports)]) as hook:
        assert double(half(6)) == 6  # type: ignore[arg-type]
    double(4)

    assert reports.seen == [("double", 6.0)]
    assert (hook.problem, sys.getprofile()) == (None, before)


def test_a_call_that_raises_returns_nothing_and_the_hook_ends() -> None:
    reports, before = Reports(), sys.getprofile()
    with pytest.raises(ValueError, match="3"), BuildHook([(fail, reports)]):
        fail(3)
    assert (reports.seen, sys.getprofile()) == ([], before)


def test_an_error_in_a_report_leaves_the_build_alone_and_is_noted() -> None:
    def broken(_: FrameType, value: Any) -> None:
        raise KeyError(value)

    with BuildHook([(double, broken)]) as hook:
        assert double(4) == 8
    assert (hook.problem, hook.partly) == ("KeyError: 8", False)


def test_threads_that_the_block_starts_are_watched_for_returns_and_let_go_afterwards() -> None:
    reports = Reports()
    begun, end, profilers = threading.Event(), threading.Event(), []

    def work() -> None:
        double(4)
        begun.set()
        end.wait()
        double(5)
        profilers.append(sys.getprofile())

    with BuildHook([(double, reports)]):
        thread = threading.Thread(target=work)
        thread.start()
        begun.wait()
    end.set()
    thread.join()

    assert reports.seen == [("double", 8)]
    assert profilers == [None]


def test_a_profiler_that_was_there_is_called_and_put_back() -> None:
    heard: list[tuple[str, str]] = []

    def hears(frame: Any, event: str, _: Any) -> None:
        heard.append((event, frame.f_code.co_name))

    before = sys.getprofile()
    sys.setprofile(hears)
    with BuildHook([]):
        double(1)
    left = sys.getprofile()
    sys.setprofile(before)
    assert left is hears
    assert [event for event, function in heard if function == "double"] == ["call", "return"]


def test_hooks_inside_each_other_both_report() -> None:
    outer, inner = Reports(), Reports()
    with BuildHook([(double, outer)]):
        double(1)
        with BuildHook([(double, inner), (half, inner)]):
            double(2)
            half(2)
        double(3)
    assert outer.seen == [("double", 2), ("double", 4), ("double", 6)]
    assert inner.seen == [("double", 4), ("half", 1.0)]


def test_a_profiler_that_the_build_sets_stays_and_is_noted() -> None:
    reports = Reports()
    with BuildHook([(double, reports)]) as hook:
        double(1)
        sys.setprofile(users)
        double(2)
    assert sys.getprofile() is users
    assert reports.seen == [("double", 2)]
    assert (hook.problem, hook.partly) == ("the target set a profiler of its own", True)


def test_a_profiler_that_is_no_function_is_left_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    reports, installed = Reports(), []
    with monkeypatch.context() as patched:
        patched.setattr(sys, "getprofile", lambda: "a profiler in C")
        patched.setattr(sys, "setprofile", installed.append)
        with BuildHook([(double, reports)]) as hook:
            double(1)
    assert (reports.seen, installed) == ([], [])
    assert (hook.problem, hook.partly) == ("another profiler was running already", False)


class Made:
    def __init__(self, number: int) -> None:
        number += 1
        self.number = number


def test_calls_are_looked_at_from_their_begin_to_their_end() -> None:
    began, ended = [], Reports()

    def begin(frame: FrameType) -> None:
        began.append((frame.f_code.co_name, frame.f_locals["number"]))

    with BuildHook([], [WatchedCall(one, begin, ended) for one in (double, fail, Made)]):
        double(2)
        with pytest.raises(ValueError, match="3"):
            fail(3)
        assert Made(4).number == 5
    assert began == [("double", 2), ("fail", 3), ("__init__", 4)]
    assert ended.seen == [("double", 4), ("fail", None), ("__init__", None)]


class Layer:
    def __call__(self, value: int, training: bool = False) -> int:
        return value + training


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
