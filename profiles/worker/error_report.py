"""What was raised in the worker, in one sentence and with its place: pure text work around one look at the graph."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.addresses import find_address, node_name
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.graph.error_stage import call_path, enclosing_stage
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage
from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.worker.steps.loop import EmptyDatasetError, PythonStep

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.read.records import NodeDict
    from pipeprof.profiles.worker.sample import Sample

LONGEST = 400
_NOISE = (
    # What AutoGraph puts before an error; the place is told anyway.
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
# What TensorFlow says of settings that come after it has run anything.
_INITIALISED = re.compile(
    r"(?:cannot|can't|can not) be (?:modified|changed|set) (?:after|once)|must be (?:set|called) (?:before|at)"
)
_TOO_LATE = (
    " (pipeprof runs TensorFlow before it calls the function: set it at the top of the file, which is imported first)"
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
    if isinstance(error, SystemExit):
        return f"sys.exit({'' if error.code is None else repr(error.code)})"
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


def describe(error: BaseException, sample: Sample) -> dict[str, Any]:
    """The message of an error for the parent.

    `kind` is ``spec`` when the spec or the command line is to blame, ``pipeline`` when the pipeline raised; `code` is a
    stable word; `address` is the stage, where it can be known.
    """
    from pipeprof.pipelines.build.pin_errors import BuildError

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
    known = _known(error, said)
    if known is not None:
        return {**described, **known}
    node, stage = _stage(said, sample)
    address = _address(node, stage, sample)
    op_path = call_path(node_name(address), said) if address and sample.job["kind"] == "spec" else ""
    message = first_line(error) + (_TOO_LATE if _INITIALISED.search(said) else "")
    place = sample.place_of(node["id"]) if node is not None and frame is None else None
    if place is not None:
        described["frame"] = vars(Frame(place["file"], place["line"], place["function"]))
    words = _words(stage) if stage is not None and sample.job["kind"] != "spec" else None
    return {
        **described,
        "code": "raised",
        "message": message,
        "address": address,
        "op_path": op_path,
        "words": words,
    }


def _known(error: BaseException, said: str) -> dict[str, Any] | None:
    """What is told of an error for which no stage can be to blame."""
    known = (
        (isinstance(error, UsageError), {"kind": "spec", "code": "target", "message": said}),
        (isinstance(error, EmptyDatasetError), {"code": "empty", "message": said}),
        (
            isinstance(error, MemoryError),
            {"code": "out-of-memory", "message": essence(said) or "Python could not allocate memory"},
        ),
        (isinstance(error, SystemExit), {"code": "exited", "message": first_line(error) + _by_whom(error)}),
        (_within_step(error), {"code": "step-raised", "message": first_line(error)}),
    )
    return next((told for fits, told in known if fits), None)


def _within_step(error: BaseException) -> bool:
    """Whether the user's step raised it, which stands behind the pipeline."""
    submit = PythonStep.submit.__code__
    return any(frame.f_code is submit for frame, _ in traceback.walk_tb(error.__traceback__))


def _by_whom(error: BaseException) -> str:
    """Who reads the command line, which is pipeprof's and not the file's."""
    files = {Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)}
    who = {"argparse" if file.name == "argparse.py" else file.parent.name for file in files}
    reader = next((one for one in ("argparse", "click", "absl") if one in who), None)
    if reader is None:
        return ""
    return f', from {reader}: the file gets no command line here; read it under `if __name__ == "__main__"`'


def _stage(text: str, sample: Sample) -> tuple[NodeDict | None, WrittenStage | None]:
    """The node of the written graph that `text` blames, and the stage that it is a part of."""
    try:
        written = sample.written_graph()
    except Exception:
        # The error at hand is what counts; it may be the one that keeps the graph from being read.
        return None, None
    node = enclosing_stage(written, text) if written is not None else None
    if node is None or written is None:
        return None, None
    stages = StageGraph.from_dict(written).stages()
    return node, next((one for one in stages if node["id"] in one.nodes), None)


def _address(node: NodeDict | None, stage: WrittenStage | None, sample: Sample) -> str | None:
    """The address of the stage that is blamed; in a function target, the user's own name of it where it has one."""
    if node is None:
        return None
    if sample.job["kind"] != "spec":
        return node["name"] or (stage.address if stage is not None else None)
    return find_address(node["key"]) if node["key"] is not None else None


def _words(stage: WrittenStage) -> str:
    return f'"{stage.name}" ({stage.op}, {stage.address})' if stage.name else f"{stage.op} ({stage.address})"
