"""Extraction of the cause from TensorFlow's error texts."""

from __future__ import annotations

import re

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.user_frames import text_of

LONGEST = 400
_NOISE = (
    # AutoGraph's prefix of an error; the place is reported separately.
    re.compile(r"in user code:\n.*\n\s+(?:[\w.]+(?:Error|Exception): )?", re.DOTALL),
    re.compile(r"\x1b\[[0-9;]*[A-Za-z]"),
    re.compile(r"\{\{(?:function_)?node [^}]*\}\}\s*"),
    re.compile(r"Error in user-defined function passed to \S+ transformation with iterator: \S+: "),
    re.compile(r"Traceback \(most recent call last\):.*", re.DOTALL),
    re.compile(r"\n\s*\[\[.*", re.DOTALL),
    # Text that `tf.debugging` and `list_files` put around the cause.
    re.compile(r"Expected '[^']*' to be true\. Summarized data: "),
    re.compile(r"\s*\[Op:\w+\](?: name:.*)?", re.DOTALL),
)


def essence(text: str) -> str:
    """Shorten a TensorFlow error to its cause, without nodes, tracebacks and op names."""
    for noise in _NOISE:
        text = noise.sub("", text)
    sentence = " ".join(text.split())
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"


def underlying(error: BaseException) -> BaseException:
    """The user's exception in AutoGraph's `StagingError`, which takes the place of classes it cannot create again."""
    while type(error).__name__ == "StagingError" and error.__context__ is not None:
        error = error.__context__
    return error


def first_line(error: BaseException) -> str:
    """Return the class and the first line of an error; a sentence of our own needs no class."""
    error = underlying(error)
    if isinstance(error, SystemExit):
        return f"sys.exit({'' if error.code is None else text_of(error.code, repr)})"
    said = essence(text_of(error))
    if isinstance(error, PipeprofError) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
