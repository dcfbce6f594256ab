"""Messages for exceptions that end a sample, with stage, place and the user's frames."""

from __future__ import annotations

import re
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeprof.pipelines.addresses import find_address, node_name
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.graph.error_stage import call_path, enclosing_stage
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage
from pipeprof.pipelines.steps.consumer import BatchConsumer
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.protocol.messages import Raised
from pipeprof.profiles.user_frames import frames_of_error, innermost_users_frame, text_of, with_sources
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.ended import ScriptEndedError, essence, first_line
from pipeprof.profiles.worker.pipeline import NoTensorFlowError
from pipeprof.profiles.worker.services import SHARED_JOB, SharedJobError
from pipeprof.profiles.worker.steps.loop import EmptyDatasetError, NeverIteratedError

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.read.records import NodeDict, PlaceDict
    from pipeprof.profiles.worker.sample import JobRun

_KINDS: dict[str, Literal["spec", "installation"]] = {
    "target": "spec",
    SHARED_JOB: "spec",
    "no-tensorflow": "installation",
}
MOST_TRACEBACK = 20_000
"""Characters kept from the end of a traceback."""
# TensorFlow's errors about settings that must precede its first op.
_INITIALISED = re.compile(
    r"(?:cannot|can't|can not) be (?:modified|changed|set) (?:after|once)|must be (?:set|called) (?:before|at)"
)
_ALLOCATION = re.compile(r"\bOOM\b|allocat|memory", re.IGNORECASE)
# What TensorFlow puts before the text of a Python function's exception is the name of its class.
_MEMORY_ERROR = re.compile(r"(?:\{\{[^}]*\}\}\s*)?(?:[\w.]*\.)?_?(?:Array)?MemoryError\b")
_TOO_LATE = " (pipeprof runs TensorFlow before it calls the function: move the setting to the top of the file)"

_NO_INPUT = " (pipeprof gives a script no standard input: pass what it reads as an argument after `--`)"
_OUTSIDE = {
    SharedJobError: SHARED_JOB,
    NoTensorFlowError: "no-tensorflow",
    UsageError: "target",
    EmptyDatasetError: "empty",
    NeverIteratedError: "never-iterated",
}


def describe_error(error: BaseException, sample: JobRun) -> Raised:
    """Build the message about an error that ended the sample: at least its class where looking into it fails."""
    try:
        return _describe(error, sample)
    except BaseException:
        code = "out-of-memory" if isinstance(error, MemoryError) else "raised"
        return Raised(code, first_line(error))


def _describe(error: BaseException, sample: JobRun) -> Raised:
    from pipeprof.pipelines.build.pinned import BuildError

    said = text_of(error)
    whole = "".join(traceback.format_exception(error))
    frame = innermost_users_frame(said) or innermost_users_frame(whole)
    # Nothing raises the end of a process.
    cut = None if isinstance(error, ScriptEndedError) else whole[-MOST_TRACEBACK:]
    raised = Raised("raised", first_line(error), frame=frame, frames=frames_of_error(error), traceback=cut)
    if isinstance(error, BuildError):
        return replace(
            raised,
            kind="spec" if error.kind == "spec" else "pipeline",
            code="build",
            message=error.message,
            address=error.address,
            op_path=error.op_path,
        )
    known = error_outside_stages(error, said, script=sample.job.kind == "script")
    if known is not None:
        code, message = known
        return replace(raised, kind=_KINDS.get(code, "pipeline"), code=code, message=message)
    spec = sample.job.kind == "spec"
    node, stage = _failed_stage(said, sample)
    address = _address(node, stage, spec=spec)
    place = sample.pipeline.place_of(node["id"]) if node is not None else None
    if place is not None and frame is None:
        frame = ErrorFrame(place["file"], place["line"], place["function"])
        raised = replace(raised, frame=frame, frames=raised.frames or with_sources([frame]))
    return replace(
        raised,
        code="out-of-memory" if _lacks_memory(error, said) else "raised",
        message=raised.message + _hint(error, said, sample),
        address=address,
        op_path=call_path(node_name(address), said) if address and spec else "",
        words=_stage_words(stage, place) if stage is not None and not spec else None,
    )


def _hint(error: BaseException, said: str, sample: JobRun) -> str:
    """What pipeprof has to do with an exception of the user's code; empty where it has nothing to."""
    if sample.job.kind == "script":
        return _NO_INPUT if isinstance(error, EOFError) else ""
    return _TOO_LATE if _INITIALISED.search(said) else ""


def _lacks_memory(error: BaseException, said: str) -> bool:
    """Return whether memory was refused to TensorFlow or to a Python function that it called."""
    kinds = {base.__name__ for base in type(error).__mro__}
    if "OpError" not in kinds:
        return False
    refused = "ResourceExhaustedError" in kinds and _ALLOCATION.search(said) is not None
    return refused or _MEMORY_ERROR.match(said) is not None


def error_outside_stages(error: BaseException, said: str, *, script: bool) -> tuple[str, str] | None:
    """Return code and message of an error not caused by a stage; None if a stage may have caused it."""
    if isinstance(error, ScriptEndedError):
        return error.code, said
    code = next((code for kind, code in _OUTSIDE.items() if isinstance(error, kind)), None)
    if code is not None:
        return code, said
    if isinstance(error, MemoryError):
        return "out-of-memory", essence(said) or "Python could not allocate memory"
    if isinstance(error, SystemExit):
        return "exited", first_line(error) + _command_line_parser(error, script=script)
    return ("step-raised", first_line(error)) if _within_step(error) else None


def _within_step(error: BaseException) -> bool:
    return any(
        frame.f_code.co_name == BatchConsumer.submit.__name__ and isinstance(frame.f_locals.get("self"), BatchConsumer)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _command_line_parser(error: BaseException, *, script: bool) -> str:
    """Name the library that parsed the command line: of a script its own, of a function's file that of pipeprof."""
    files = {Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)}
    who = {"argparse" if file.name == "argparse.py" else file.parent.name for file in files}
    reader = next((literal for literal in ("argparse", "click", "absl") if literal in who), None)
    if reader is None:
        return ""
    if script:
        return f", from {reader}: the script's own arguments follow `--`"
    return f', from {reader}: the file has no command line here; parse it under `if __name__ == "__main__"`'


def _failed_stage(text: str, sample: JobRun) -> tuple[NodeDict | None, WrittenStage | None]:
    try:
        written = sample.pipeline.written_graph()
    except Exception:
        # Report the original error; it may be the reason why the graph cannot be read.
        return None, None
    node = enclosing_stage(written, text) if written is not None else None
    if node is None or written is None:
        return None, None
    stages = StageGraph.from_dict(written).stages()
    return node, next((stage for stage in stages if node["id"] in stage.nodes), None)


def _address(node: NodeDict | None, stage: WrittenStage | None, *, spec: bool) -> str | None:
    """Return the address of the failed stage; in a function target, the user's name of it if it has one."""
    if node is None:
        return None
    if not spec:
        return node["name"] or (stage.address if stage is not None else None)
    return find_address(node["key"]) if node["key"] is not None else None


def _stage_words(stage: WrittenStage, place: PlaceDict | None) -> str:
    """Name a function's stage in a sentence, as `wording.label_of` does from the document."""
    where = f"{as_typed(place['file'])}:{place['line']}" if place is not None else None
    inside = ", ".join(part for part in (stage.op if stage.name else None, where) if part)
    return f"{stage.name or stage.op} ({inside})" if inside else stage.op
