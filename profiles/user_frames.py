"""Frames of the user's own code: in tracebacks, in TensorFlow's error texts and in dumped stacks of threads."""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType

from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.document.shared import ErrorFrame

MOST_FRAMES = 20
"""Of a traceback; of a deeper one (a recursion) the outermost and the innermost half."""
MOST_SOURCE = 200
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)(?:,? in (?P<function>\S+))?')
# AutoGraph renames what it converts: `tf__load` is the user's `load`.
_GENERATED_NAME = re.compile(r"^tf__")


def users_frames_in(text: str) -> list[ErrorFrame]:
    """All frames of the user's files that a text names, in its order, without source lines."""
    return [
        ErrorFrame(match["file"], int(match["line"]), match["function"])
        for match in _FRAME.finditer(text)
        if is_users(match["file"])
    ]


def innermost_users_frame(traceback_text: str) -> ErrorFrame | None:
    """The innermost frame of a traceback that is in the user's files; Python prints the innermost last."""
    frames = users_frames_in(traceback_text)
    return frames[-1] if frames else None


def users_frame_of_stacks(stacks: str) -> ErrorFrame | None:
    """The same for dumped stacks of threads, innermost first; the crashed thread comes before all others."""
    _, crashed, rest = stacks.partition("Current thread")
    for part in (rest if crashed else "", stacks):
        if frames := users_frames_in(part):
            return frames[0]
    return None


def users_frame_of(frame: FrameType | None) -> ErrorFrame | None:
    """The innermost of the user's frames in a running call: where the user's code stands now."""
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return ErrorFrame(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) if frame is not None else None


def frames_of_error(error: BaseException) -> list[ErrorFrame]:
    """The user's frames of an exception with their source lines, outermost first.

    The text of TensorFlow's errors contains the traceback of a function that it called (``tf.py_function``,
    ``from_generator``) or traced ("in user code:"): its frames follow those of the exception itself. A syntax error has
    its own place. Frames of libraries, of TensorFlow and of code that AutoGraph generated are left out.
    """
    found: list[ErrorFrame] = []
    for exception in _causes_first(error):
        found += [
            ErrorFrame(frame.filename, frame.lineno or 0, frame.name)
            for frame in traceback.extract_tb(exception.__traceback__)
            if frame.lineno and is_users(frame.filename)
        ]
        if (
            isinstance(exception, SyntaxError)
            and exception.filename
            and exception.lineno
            and is_users(exception.filename)
        ):
            found.append(ErrorFrame(exception.filename, exception.lineno, None))
        found += users_frames_in(text_of(exception))
    return with_sources(shortened(without_repeats(found)))


def text_of(value: object, make: Callable[[object], str] = str) -> str:
    """What an error says of itself, made by `str` or `repr`; a note where the user's own code for that raises."""
    try:
        return make(value)
    except BaseException as failed:
        return f"(its __{make.__name__}__ raised {type(failed).__name__})"


def _causes_first(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that an exception came from, the first one first, as Python prints them."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return reversed(chain)


def without_repeats(frames: Iterable[ErrorFrame]) -> list[ErrorFrame]:
    """Frames without those that were there before: an exception that was raised again repeats its frames."""
    found: dict[tuple[str, int], ErrorFrame] = {}
    for frame in frames:
        named = ErrorFrame(frame.file, frame.line, _GENERATED_NAME.sub("", frame.function) if frame.function else None)
        found.setdefault((frame.file, frame.line), named)
    return list(found.values())


def shortened(frames: list[ErrorFrame]) -> list[ErrorFrame]:
    """At most `MOST_FRAMES` frames, the outermost and the innermost ones."""
    half = MOST_FRAMES // 2
    return frames if len(frames) <= MOST_FRAMES else [*frames[:half], *frames[-half:]]


def with_sources(frames: Iterable[ErrorFrame]) -> list[ErrorFrame]:
    """Frames with the lines of their files, as far as these can be read now."""
    return [
        ErrorFrame(frame.file, frame.line, frame.function, _source_line(frame)[:MOST_SOURCE] or None)
        for frame in frames
    ]


def _source_line(frame: ErrorFrame) -> str:
    # What stands in the file's place now may be a pipe, which never ends.
    regular = not Path(frame.file).exists() or Path(frame.file).is_file()
    return linecache.getline(frame.file, frame.line).strip() if regular else ""
