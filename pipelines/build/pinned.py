"""Errors of TensorFlow and of the user's Python, assigned to a stage and shortened."""

from __future__ import annotations

import functools
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from pipeprof.pipelines.errors import PipelineFailedError, PipeprofError, PlainError

_LONGEST = 400


class BuildError(PipelineFailedError):
    """An error at a stage that TensorFlow or the user's Python raised.

    Attributes:
        kind: ``spec`` when TensorFlow refuses ops or arguments, ``python`` when the user's own code raised.
        op_path: Where the call stands below the stage, dotted as an address: ``ops.2.fn.0``; empty without one.
        lines: For ``python``, the user's own lines as ``file:line in function: source``, innermost last.
    """

    def __init__(
        self,
        address: str,
        message: str,
        *,
        kind: Literal["spec", "python"] = "spec",
        op_path: str = "",
        lines: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{address}: {message}")
        self.address = address
        self.message = message
        self.kind = kind
        self.op_path = op_path
        self.lines = lines


@contextmanager
def pin_errors(
    address: str,
    files: list[str] | tuple[str, ...],
    path: tuple[str | int, ...] = (),
    op_name: str = "",
    argument: str = "",
) -> Iterator[None]:
    """Turn every error inside into a `BuildError` of this stage; one that is pinned already passes.

    Args:
        path: Place of the call below ``ops``, as in `pipeprof.pipelines.build.chain`.
        argument: The stage's argument under which ``ops`` stands; empty when it stands in the stage itself.
    """
    try:
        yield
    except BuildError:
        raise
    except Exception as problem:
        inner = _find_pinned(problem)
        if inner is not None:
            raise inner from problem
        lines = user_lines(problem, files)
        said = (f"{path_text(path)} {op_name}: " if path else "") + short_message(problem)
        below = [argument] * bool(argument) + ["ops", *map(str, path)] if path else []
        raise BuildError(
            address, said, kind="python" if lines else "spec", op_path=".".join(below), lines=lines
        ) from problem


def path_text(path: tuple[str | int, ...]) -> str:
    """The place of a call for messages.

    Example:
        >>> path_text((2, "branch_fns.1", 0))
        'ops[2].branch_fns.1[0]'
    """
    return "ops" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _find_pinned(problem: BaseException) -> BuildError | None:
    """The error of an inner stage that TensorFlow has wrapped in one of its own."""
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, BuildError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def short_message(problem: BaseException) -> str:
    """Shorten an error of TensorFlow or Python: no graph nodes, op names and traces."""
    text = str(problem.args[0]) if isinstance(problem, KeyError) and problem.args else str(problem)
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r" for '\{\{node [^']*'", "", text)
    text = re.sub(r"\{\{[^{}]*\}\}\s*", "", text)
    text = re.sub(r"\s*\[Op:[^\]]*\].*", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*\(op: '\w+'\)", "", text)
    text = text.replace("outer_factory.<locals>.inner_factory.<locals>.tf__", "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0] == "in user code:":
        # Autograph lists the user's frames first; what was raised stands at the end.
        raised = [line for line in lines[1:] if re.match(r"[A-Z]\w*(Error|Exception|Warning|Interrupt|Exit)?: ", line)]
        lines = [raised[-1]] if raised else lines[-1:]
    message = " ".join(lines[:2]) if lines else ""
    if isinstance(problem, PlainError | PipeprofError):
        # Sentences of our own, such as that a Python file is gone, need no name of a class.
        return message
    name = type(problem).__name__
    message = message if message.startswith(f"{name}: ") else f"{name}: {message}" if message else name
    return message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…"


def user_lines(problem: BaseException, files: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """The frames of an error that lie in the user's own files, as ``file:line in function: source``."""
    if not files:
        return ()
    found = _autograph_frames(problem) or [
        (frame.filename, frame.lineno or 0, frame.name, frame.line or "")
        for frame in traceback.extract_tb(problem.__traceback__)
    ]
    folders = tuple(_folder(file) for file in files)
    return tuple(
        f"{name}:{line} in {function}: {source.strip()}"
        for name, line, function, source in found
        if name.startswith(folders)
    )


@functools.cache
def _folder(file: str) -> str:
    return str(Path(file).parent) + "/"


def remember_lines(problem: Exception, source_map: Mapping[Any, Any]) -> None:
    """Note on an error the user's lines behind the code that autograph generated, as autograph does elsewhere."""
    if hasattr(problem, "ag_error_metadata"):
        return
    places = {(place.filename, place.lineno): origin for place, origin in source_map.items()}
    frames = traceback.extract_tb(problem.__traceback__)
    found = [places[frame.filename, frame.lineno] for frame in frames if (frame.filename, frame.lineno) in places]
    stack = [
        SimpleNamespace(
            filename=origin.loc.filename,
            lineno=origin.loc.lineno,
            function_name=origin.function_name,
            code=origin.source_code_line,
        )
        for origin in reversed(found)
    ]
    setattr(problem, "ag_error_metadata", SimpleNamespace(translated_stack=stack))  # noqa: B010  # no field of the class


def _autograph_frames(problem: BaseException) -> list[tuple[str, int, str, str]]:
    """Frames as autograph maps them back from the code that it generated to the user's."""
    stack = getattr(getattr(problem, "ag_error_metadata", None), "translated_stack", None) or ()
    return [(one.filename, one.lineno, one.function_name or "<lambda>", one.code or "") for one in stack][::-1]
