"""The sentence of an exception: the part of TensorFlow's error texts that says what happened."""

from __future__ import annotations

import re

LONGEST = 400
_NOISE = (
    # What AutoGraph puts before an error; the place is reported in any case.
    re.compile(r"in user code:\n.*\n\s+(?:[\w.]+(?:Error|Exception): )?", re.DOTALL),
    re.compile(r"\x1b\[[0-9;]*[A-Za-z]"),
    re.compile(r"\{\{(?:function_)?node [^}]*\}\}\s*"),
    re.compile(r"Error in user-defined function passed to \S+ transformation with iterator: \S+: "),
    re.compile(r"Traceback \(most recent call last\):.*", re.DOTALL),
    re.compile(r"\n\s*\[\[.*", re.DOTALL),
    # What `tf.debugging` and `list_files` say around their own words.
    re.compile(r"Expected '[^']*' to be true\. Summarized data: "),
    re.compile(r"\s*\[Op:\w+\](?: name:.*)?", re.DOTALL),
)


def essence(text: str) -> str:
    """Cut an error of TensorFlow to the sentence that says what happened, without nodes, tracebacks and op names."""
    for noise in _NOISE:
        text = noise.sub("", text)
    sentence = " ".join(text.split())
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"


def first_line(error: BaseException) -> str:
    """Return the class of an error and what it says."""
    if isinstance(error, SystemExit):
        return f"sys.exit({'' if error.code is None else repr(error.code)})"
    said = essence(str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
