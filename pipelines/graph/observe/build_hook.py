"""Python's profiling hook while a pipeline is built: one hook, and what looks at the build through it (worker only)."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeAlias, TypeVar

Returned: TypeAlias = Callable[[FrameType, Any], None]
"""What receives the frame of a function that returned, and what it returned, which is never None."""
Hook: TypeAlias = Callable[[FrameType, str, Any], None]


@dataclass(frozen=True)
class WatchedCall:
    """What looks at the calls of a function, or of a class, from their begin to their end.

    Attributes:
        ended: Receives also what was returned, None where it raised or is a constructor.
    """

    function: Callable[..., Any]
    began: Callable[[FrameType], None]
    ended: Callable[[FrameType, Any], None]


_Hook = TypeVar("_Hook", bound="BuildHook")


class BuildHook:
    """The hook in a ``with`` block, in this thread and in those that the block starts.

    Costs about a microsecond for each call of a Python function in the block, so it is for building, not for measuring.
    A thread that outlives the block removes the hook at its next call. A hook that is already there (a profiler of the
    user's, or another `BuildHook`) is called as before.
    """

    def __init__(
        self, returns: Iterable[tuple[Callable[..., Any], Returned]], spans: Iterable[WatchedCall] = ()
    ) -> None:
        self.problem: str | None = None
        self.partly = False
        # By identity: the hash of code reads all of its constants, and every call of a function asks.
        self._watched = {
            id(code): (code, report) for function, report in returns if (code := _code_of(function)) is not None
        }
        self._spans = {id(code): span for span in spans if (code := _code_of(span.function)) is not None}
        self._before: Any = None
        self._before_in_threads: Any = None
        self._installed: Hook | None = None
        self._in_threads: Hook | None = None
        self._ended = False

    def __enter__(self: _Hook) -> _Hook:
        self._before = sys.getprofile()
        self._ended = False
        if self._before is not None and not callable(self._before):
            self.problem = "another profiler was running already"
            return self
        self._before_in_threads = threading.getprofile()
        self._in_threads = self._removable_hook(self._hook(self._before_in_threads), self._before_in_threads)
        threading.setprofile(self._in_threads)
        self._installed = self._hook(self._before)
        sys.setprofile(self._installed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed is None:
            return
        self._ended = True
        if threading.getprofile() is self._in_threads:
            threading.setprofile(self._before_in_threads)
        if sys.getprofile() is self._installed:
            sys.setprofile(self._before)
        else:
            self.problem, self.partly = "the target set a profiler of its own", True

    def _hook(self, before: Hook | None) -> Hook:
        watched, spans = self._watched, self._spans

        def hook(frame: FrameType, event: str, value: Any) -> None:
            code = id(frame.f_code)
            if event == "return":
                if value is not None and code in watched:
                    self._tell(watched[code][1], frame, value)
                if code in spans:
                    self._tell(spans[code].ended, frame, value)
            elif event == "call" and code in spans:
                self._tell(spans[code].began, frame)
            if before is not None:
                before(frame, event, value)

        return hook

    def _tell(self, report: Callable[..., None], *seen: Any) -> None:
        try:
            report(*seen)
        except Exception as error:
            # An exception in a hook would end the user's own call.
            self.problem = f"{type(error).__name__}: {error}"

    def _removable_hook(self, hook: Hook, before: Any) -> Hook:
        """Return the hook for a thread that may outlive the block."""

        def while_watched(frame: FrameType, event: str, value: Any) -> None:
            if self._ended:
                sys.setprofile(before)
            else:
                hook(frame, event, value)

        return while_watched


def _code_of(function: Callable[..., Any]) -> CodeType | None:
    plain = inspect.unwrap(function.__init__) if inspect.isclass(function) else inspect.unwrap(function)
    code: CodeType | None = getattr(plain, "__code__", None)
    return code


def callers(frame: FrameType) -> Iterator[FrameType]:
    """Yield the frames that led to a frame, innermost first."""
    at = frame.f_back
    while at is not None:
        yield at
        at = at.f_back
