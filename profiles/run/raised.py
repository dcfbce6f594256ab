"""What was raised in the worker, in one sentence and with its place: pure text work around one look at the graph."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.addresses import find_address, node_name
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.graph.places import call_path, enclosing_stage
from pipeprof.pipelines.user_files import is_users
from pipeprof.profiles.run.loop import EmptyDatasetError

if TYPE_CHECKING:
    from pipeprof.profiles.run.sample import Sample

LONGEST = 400
_NOISE = (
    re.compile(r"\{\{(?:function_)?node [^}]*\}\}\s*"),
    re.compile(r"Error in user-defined function passed to \S+ transformation with iterator: \S+: "),
    re.compile(r"Traceback \(most recent call last\):.*", re.DOTALL),
    re.compile(r"\n\s*\[\[.*", re.DOTALL),
    re.compile(r"\s*\[Op:\w+\](?: name:.*)?", re.DOTALL),
)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)(?:,? in (?P<function>\S+))?')


@dataclass(frozen=True)
class Frame:
    """A place in the user's Python."""

    file: str
    line: int
    function: str | None


def essence(text: str) -> str:
    """The sentence of an error of TensorFlow that says what happened; without nodes, tracebacks and op names."""
    for noise in _NOISE:
        text = noise.sub("", text)
    sentence = " ".join(text.split())
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"


def first_line(error: BaseException) -> str:
    """The class of an error and what it says."""
    said = essence(str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _users_frames(text: str) -> list[Frame]:
    return [
        Frame(match["file"], int(match["line"]), match["function"])
        for match in _FRAME.finditer(text)
        if is_users(match["file"])
    ]


def users_frame(traceback_text: str) -> Frame | None:
    """The innermost frame of a traceback that is not in a library; Python prints the innermost last."""
    frames = _users_frames(traceback_text)
    return frames[-1] if frames else None


def users_frame_of_stacks(stacks: str) -> Frame | None:
    """The same for dumped stacks of threads, innermost first; the crashed thread comes before all others."""
    _, crashed, rest = stacks.partition("Current thread")
    for part in (rest if crashed else "", stacks):
        if frames := _users_frames(part):
            return frames[0]
    return None


def describe(error: Exception, sample: Sample) -> dict[str, Any]:
    """The message of an error for the parent.

    `kind` is ``spec`` when the spec or the command line is to blame, ``pipeline`` when the pipeline raised; `code` is a
    stable word; `address` is the stage, where it can be known.
    """
    from pipeprof.pipelines.build import BuildError

    said = str(error)
    frame = users_frame(said) or users_frame("".join(traceback.format_exception(error)))
    described: dict[str, Any] = {
        "phase": sample.phase,
        "kind": "pipeline",
        "address": None,
        "op_path": "",
        "frame": vars(frame) if frame else None,
    }
    if isinstance(error, BuildError):
        kind = "spec" if error.kind == "spec" else "pipeline"
        op = {"op_path": error.op_path}
        return {**described, **op, "kind": kind, "code": "build", "message": error.message, "address": error.address}
    if isinstance(error, UsageError):
        return {**described, "kind": "spec", "code": "target", "message": said}
    if isinstance(error, EmptyDatasetError):
        return {**described, "code": "empty", "message": said}
    if isinstance(error, MemoryError):
        return {**described, "code": "out-of-memory", "message": essence(said) or "Python could not allocate memory"}
    address = _address(said, sample)
    op_path = call_path(node_name(address), said) if address and sample.job["kind"] == "spec" else ""
    return {**described, "code": "raised", "message": first_line(error), "address": address, "op_path": op_path}


def _address(text: str, sample: Sample) -> str | None:
    """The address of the stage that `text` blames; in a function target, the user's own name of it."""
    written = sample.written_graph()
    node = enclosing_stage(written, text) if written is not None else None
    name = node["key"] if node is not None else None
    if name is None or sample.job["kind"] != "spec":
        return name
    return find_address(name)
