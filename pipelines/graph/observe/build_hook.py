"""Python's profiling hook while a pipeline is built, and what frames say of its calls (worker only: needs TensorFlow).

Which function of the user's a dataset was made with, and which library made it, is read from the frames that led to the
op: nothing of the user's is called.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CellType, CodeType, FrameType, FunctionType, MethodType, ModuleType, TracebackType
from typing import Any, Final, TypeAlias, TypeVar

from pipeprof.pipelines.target.user_files import is_generated

Returned: TypeAlias = Callable[[FrameType, Any], None]
"""What receives the frame of a function that returned, and what it returned, which is never None."""
Hook: TypeAlias = Callable[[FrameType, str, Any], None]


@dataclass(frozen=True)
class WatchedCall:
    """What looks at the calls of a function, or of a class, from their begin to their end."""

    function: Callable[..., Any]
    began: Callable[[FrameType], None]
    ended: Callable[[FrameType, Any], None]
    """Receives also what was returned, None where it raised or is a constructor."""


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


_INSIDE: Final = "<locals>."
"""In the qualified name of a function that another one defines."""
_MOST_PARTIALS: Final = 10


def library_frames(
    frame: FrameType, tensorflow: str, users: Callable[[str], bool]
) -> tuple[FrameType, FrameType | None]:
    """Find the outermost method of a dataset that made an op, and the frame of a library that called it, if one did."""
    called = frame
    for caller in callers(frame):
        file = caller.f_code.co_filename
        if users(file) or is_generated(file):
            break
        if not file.startswith((f"{tensorflow}{os.sep}", "<")):
            return called, caller
        if _is_method_of_dataset(caller):
            called = caller
    return called, None


def _is_method_of_dataset(frame: FrameType) -> bool:
    import tensorflow as tf

    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return bool(names) and isinstance(frame.f_locals.get(names[0]), tf.data.Dataset)


def given_function(called: FrameType, library: FrameType | None, tensorflow: str) -> str | None:
    """Return the name of the one function among the arguments of a call of TensorFlow's API.

    That of a lambda is the function that it calls; in a library it is else that of the function around it. A function
    inside a library's function stands for the one that it was given from another file, as decorators make them. A
    function of TensorFlow's own says nothing: ``from_generator`` passes one to ``flat_map``. Then the calls around it
    count, as far as they are TensorFlow's.
    """
    inside = f"{tensorflow}{os.sep}"
    functions: list[Any] = []
    for frame in (called, *callers(called)):
        if frame is not called and not frame.f_code.co_filename.startswith(inside):
            break
        functions = [function for function in _functions_given(frame) if not _file_of(function).startswith(inside)]
        if functions:
            break
    if len(functions) != 1:
        return None
    return _name(functions[0], library) or (library.f_code.co_name if library is not None else None)


def _functions_given(frame: FrameType) -> list[Any]:
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    values = [frame.f_locals.get(name) for name in names if name not in ("self", "cls")]
    return [value for value in values if _is_function(value)]


def _file_of(function: Any) -> str:
    plain = _plain(function)
    return plain.__code__.co_filename if isinstance(plain, FunctionType) else ""


def file_in_library(file: str) -> str:
    """Return a library's file from its package on, e.g. ``seqio/preprocessors.py``."""
    place = Path(file)
    top = place
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return str(place.relative_to(top.parent))


def _is_function(value: Any) -> bool:
    """Return whether it is a function, or an object whose class has a method for calls, as a layer has."""
    method = inspect.getattr_static(type(value), "__call__", None)
    return isinstance(value, (FunctionType, MethodType, functools.partial)) or isinstance(method, FunctionType)


def _name(function: Any, library: FrameType | None) -> str | None:
    plain = _plain(function)
    if isinstance(plain, type):
        # A reader of files is called what its stage is called.
        return None if plain.__module__.partition(".")[0] == "tensorflow" else plain.__name__
    if not isinstance(plain, FunctionType):
        return type(plain).__name__
    if plain.__name__ == "<lambda>":
        return _only(_functions_of(plain)) or _only(_functions_of_objects(plain)) or _called_object(plain)
    if library is not None and _INSIDE in plain.__qualname__:
        reached = [*_functions_of(plain), *_functions_of_objects(plain)]
        return _only(one for one in reached if _file_of(one) != _file_of(plain)) or plain.__name__
    return plain.__name__


def _only(functions: Iterable[FunctionType]) -> str | None:
    """Return the name that all of them share, lambdas aside; None for several."""
    names = {function.__name__ for function in functions if function.__name__ != "<lambda>"}
    return names.pop() if len(names) == 1 else None


def _called_object(function: FunctionType) -> str | None:
    """Return the variable of the one object among those that a function names that can be called, as a layer."""
    named = {name for name, value in _named_by(function).items() if _is_function(value) and not isinstance(value, type)}
    return named.pop() if len(named) == 1 else None


def _plain(function: Any) -> Any:
    """Return the function in a partial, a method or an object that wraps it, as ``tf.function`` makes."""
    for _ in range(_MOST_PARTIALS):
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif not isinstance(function, FunctionType) and "__wrapped__" in (held := attributes_of(function)):
            function = held["__wrapped__"]
        else:
            break
    return function


def _functions_of(function: FunctionType) -> Sequence[FunctionType]:
    return [plain for value in _named_by(function).values() if isinstance(plain := _plain(value), FunctionType)]


def _named_by(function: FunctionType) -> dict[str, Any]:
    code = function.__code__
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    return {name: function.__globals__.get(name) for name in code.co_names} | {
        name: _content(cell) for name, cell in cells
    }


def _functions_of_objects(function: FunctionType) -> list[FunctionType]:
    """Return the functions that a function reaches through its objects; a method stands for one that it calls."""
    found: list[FunctionType] = []
    for cell in function.__closure__ or ():
        value = _content(cell)
        if isinstance(value, (FunctionType, MethodType, functools.partial, ModuleType)):
            continue
        held = _held_functions(value, function)
        for name in () if held else function.__code__.co_names:
            method = inspect.getattr_static(type(value), name, None)
            if isinstance(method, FunctionType):
                held += _held_functions(value, method) or [method]
        found += held
    return found


def _held_functions(value: Any, user: FunctionType) -> list[FunctionType]:
    attributes = attributes_of(value)
    held = [_plain(attributes.get(name)) for name in user.__code__.co_names]
    return [function for function in held if isinstance(function, FunctionType)]


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return None


def attributes_of(value: Any) -> Mapping[str, Any]:
    """Return the attributes of an object or a module, without calling any code of its class."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held if isinstance(held, Mapping) else {}
