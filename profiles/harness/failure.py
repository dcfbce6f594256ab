"""Diagnosis of a failed sample: what happened, where, and which limit was enforced."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import holder, traits
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.shared import ErrorFrame, PhaseName
from pipeprof.profiles.harness.received import GROWING_TIMES
from pipeprof.profiles.memory.buffers import kind_of
from pipeprof.profiles.protocol.channel import CHANNEL_LOST
from pipeprof.profiles.protocol.messages import SERVICE_FAILED
from pipeprof.profiles.service.faults import cause_of_error
from pipeprof.profiles.user_frames import users_frame_of_stacks
from pipeprof.profiles.view.from_sketch import row_of
from pipeprof.profiles.wording import as_typed, phase_words, size, stage_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.harness.event_loop import Ended
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.cgroup import OomReport
    from pipeprof.profiles.host.limits import MemoryLimit
    from pipeprof.profiles.protocol.messages import Raised
    from pipeprof.profiles.view.view import PipelineView

EXIT_SPEC, EXIT_PIPELINE = 2, 5
_LARGE_BUFFER = 50_000_000
"""Bytes from which a buffer is named in a report of lacking memory."""
_MOST_COMMAND = 200
"""Characters of a command line in a message."""
EXIT_INTERNAL = 1
EXIT_HUNG_UP, EXIT_INTERRUPTED, EXIT_TERMINATED = 129, 130, 143
_ASKED = {
    "interrupted": ("interrupted", "Interrupted", EXIT_INTERRUPTED),
    "terminated": ("terminated", "Ended by SIGTERM", EXIT_TERMINATED),
    "hung-up": ("hung-up", "Ended by SIGHUP (the terminal was closed)", EXIT_HUNG_UP),
}
_DID = {
    "raised": "The pipeline raised an exception",
    "exited": "The pipeline's code called exit",
    "step-raised": "The step raised an exception",
    SERVICE_FAILED: "The tf.data service failed",
}
_DID_SCRIPT = {
    "raised": "The script raised an exception",
    "exited": "The script called exit",
    "killed": "A signal ended the script",
}
_CRASHES: dict[int, str] = {
    signal.SIGSEGV: "a segmentation fault",
    signal.SIGBUS: "a bus error",
    signal.SIGFPE: "an arithmetic fault",
    signal.SIGILL: "an illegal instruction",
    signal.SIGABRT: "an abort",
}


_REFUSED = re.compile(
    r"MemoryError|bad_alloc|[Cc]annot allocate memory|failed to map segment|[Uu]nable to allocate|OOM when allocating"
    r"|can't start new thread|pthread_create failed|Resource temporarily unavailable|ENOMEM|[Oo]ut of memory"
)
"""Messages of programs and libraries that get no memory, or no room for a thread's stack."""


@dataclass(frozen=True)
class Circumstances:
    """Circumstances of an end.

    Attributes:
        oom: Kills by the kernel for lack of memory.
        growth: Bytes per second at the end.
        seconds: Since the worker started.
        timeout: The `--timeout` in force, in seconds.
        max_time: The `--max-time` in force, in seconds.
        planned: Planned length of the measurement: ``10 s``, ``500 steps``.
        peaks: Largest sampled memory by phase, in bytes.
        stages: The written stages by address.
        stacks: Stacks of the worker's threads, if they were dumped.
        address_space: The limit of virtual memory, in bytes; None for none.
        view: The pipeline as written, as far as it is known.
        last_bytes: The last sample of the worker's memory.
        lacks_proc: Linux without its process file system.
        script: Whether a training script ran, not a pipeline alone.
        silent_services: What is wrong with the tf.data services that it waited for, when it was taken to hang.
    """

    limit: MemoryLimit | None
    oom: OomReport
    growth: float | None
    seconds: float
    timeout: float
    max_time: float | None
    planned: str
    peaks: Mapping[PhaseName, int]
    stages: Mapping[str, Stage]
    stacks: str
    printed: str = ""
    address_space: int | None = None
    view: PipelineView | None = None
    last_bytes: int | None = None
    lacks_proc: bool = False
    script: bool = False
    silent_services: Sequence[str] = ()


@dataclass(frozen=True)
class Failure:
    """A diagnosis and the command's exit code."""

    problem: Problem
    exit_code: int


def describe_end(returncode: int | None, printed: str, oom: OomReport, address_space: int | None) -> str:
    """State how a process ended that can say nothing any more, as in "it crashed with an abort (SIGABRT)".

    Args:
        returncode: Its exit status, or minus the signal; None where it closed its channel and goes on.
        oom: Kills by the kernel for lack of memory since it was started.
        address_space: The limit of virtual memory, in bytes; None for none.
    """
    if returncode is None or returncode == CHANNEL_LOST:
        return "closed descriptors that it had not opened"
    if address_space is not None and _REFUSED.search(printed):
        return f"was refused memory by the system at the limit of {size(address_space)} for addresses (ulimit -v)"
    if returncode >= 0:
        return f"ended with exit status {returncode}"
    number = -returncode
    name = _name_of_signal(number)
    if number == signal.SIGKILL:
        return (
            f"was killed by the kernel at {_whose_memory(oom)}" if oom.killed else f"was killed from outside ({name})"
        )
    if number == signal.SIGABRT and _REFUSED.search(printed):
        return f"could not allocate memory ({name})"
    crash = _CRASHES.get(number)
    return f"crashed with {crash} ({name})" if crash else f"was ended from outside ({name})"


def _name_of_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _whose_memory(oom: OomReport) -> str:
    most = f" of {size(oom.limit_bytes)}" if oom.limit_bytes else ""
    return f"the memory limit{most} of its control group" if oom.by == "cgroup" else "the machine's memory"


def diagnose(ended: Ended, observed: Observed, around: Circumstances) -> Failure | None:
    """Diagnose an end; None if the measurement was complete."""
    if ended.reason in _ASKED:
        code, words, exit_code = _ASKED[ended.reason]
        return _plain(code, f"{words} in phase {_where(observed)}.", exit_code)
    if observed.complete:
        return _after_measurement(ended, observed, around)
    if ended.reason in ("exit", "silent"):
        return _by_itself(ended, observed, around)
    if ended.reason == "memory-limit":
        return _out_of_memory(ended, observed, around, None)
    if ended.reason == "hung":
        return _hang_failure(ended, observed, around)
    text = f"Stopped after {around.max_time:g} s (--max-time) in phase {_where(observed)}."
    return _plain("max-time", text, EXIT_PIPELINE)


def _after_measurement(ended: Ended, observed: Observed, around: Circumstances) -> Failure | None:
    if _was_ended(ended, observed, around):
        return _death_failure(ended, observed, around)
    return _diagnose_cut(observed, around) if ended.reason == "max-time" and observed.was_cut else None


def _was_ended(ended: Ended, observed: Observed, around: Circumstances) -> bool:
    """Whether a signal ended the worker that is no crash, and not the kernel's for lack of memory."""
    number = -ended.returncode
    if ended.reason != "exit" or observed.done or number <= 0 or number in _CRASHES:
        return False
    return number != signal.SIGKILL or not around.oom.killed


def _diagnose_cut(observed: Observed, around: Circumstances) -> Failure:
    """Diagnose a measurement that `--max-time` ended early."""
    steps = observed.measured.steps if observed.measured is not None else None
    seconds, count = (steps.seconds, steps.count) if steps is not None else (0.0, 0)
    text = (
        f"Stopped after {around.max_time:g} s (--max-time): {seconds:.1f} s and {count:,} steps were measured of "
        f"{around.planned}; the gain of a free pipeline and the ops inside stages are n/a."
    )
    return _plain("max-time", text, EXIT_PIPELINE)


def _by_itself(ended: Ended, observed: Observed, around: Circumstances) -> Failure:
    error = observed.error
    if error is not None and _cause_in_service(observed, error) is not None:
        # Also where memory was refused: to a worker of the service, and not here.
        return _exception_failure(observed, error, around)
    said = f"{error.code} {error.message}" if error is not None else around.printed
    if around.address_space is not None and (said.startswith("out-of-memory") or _REFUSED.search(said)):
        return _out_of_memory(ended, observed, around, "ulimit")
    if error is None:
        return _death_failure(ended, observed, around)
    if error.code == "out-of-memory":
        return _out_of_memory(ended, observed, around, "python")
    if error.kind == "installation":
        return _plain(error.code, error.message, EXIT_INTERNAL)
    return _exception_failure(observed, error, around)


def _channel_closed(observed: Observed, successor: str | None, *, script: bool) -> Failure:
    who = "The script" if script else "The pipeline's code"
    if successor is not None:
        text = (
            f"{who} replaced the worker process by another program in phase {_where(observed)}: look for "
            f"os.exec…() in front of `{successor[:_MOST_COMMAND]}`."
        )
        return _plain("exited", text, EXIT_PIPELINE)
    text = (
        f"{who} closed descriptors that it had not opened, in phase {_where(observed)}, and with them "
        "the pipe on which the worker reports: look for os.close() and os.closerange()."
    )
    return _plain("channel-closed", text, EXIT_PIPELINE)


def _plain(code: str, message: str, exit_code: int) -> Failure:
    return Failure(Problem(code=code, message=message), exit_code)


def _where(observed: Observed) -> str:
    # The last sign of progress is older than the statistics of an end.
    steps = observed.measured.steps.count if observed.final and observed.measured is not None else observed.steps
    after = f" after {steps:,} steps" if steps and observed.phase in ("warmup", "measure") else ""
    return f"{phase_words(observed.phase)}{after}"


def _exception_failure(observed: Observed, error: Raised, around: Circumstances) -> Failure:
    stage = around.stages.get(error.address or "")
    frame = _typed_frame(error.frame)
    exit_code = EXIT_SPEC if error.kind == "spec" and error.code != "build" else EXIT_PIPELINE
    message = error.message
    if error.code in {"empty", "never-iterated", "write-before-steps"}:
        message = f"Nothing to measure: {message}."
    elif error.kind == "pipeline":
        unknown = f"stage {error.address}" if error.address else None
        named = stage_label(stage) if stage else error.words or unknown
        place = f" at {frame.file}:{frame.line}" if frame else ""
        of = f" in {named}" if named else ""
        words = _DID_SCRIPT if around.script else _DID
        did = words.get(error.code, words["raised"])
        message = f"{did}{of}{place}, phase {_where(observed)}: {message}"
    location = stage.location if stage else Location(file=frame.file, line=frame.line) if frame else None
    cause = _cause_in_service(observed, error)
    if cause is not None:
        message = f"{message}{'' if message.endswith('.') else '.'} {cause[0].upper()}{cause[1:]}."
    problem = Problem(
        code=SERVICE_FAILED if cause is not None else error.code,
        message=message,
        stage=error.address,
        address=error.address,
        frames=_as_typed(error.frames),
        traceback=error.traceback,
    )
    if location is not None:
        problem.file, problem.line, problem.column = location.file, location.line, location.column
    return Failure(problem, exit_code)


def _cause_in_service(observed: Observed, error: Raised) -> str | None:
    """Why a tf.data service raised an error; None where it was something else."""
    python = [place for service in observed.services for place in service.python]
    return cause_of_error(f"{error.message}\n{error.traceback or ''}", python) if error.kind == "pipeline" else None


def _as_typed(frames: Iterable[ErrorFrame]) -> list[ErrorFrame]:
    return [replace(frame, file=as_typed(frame.file)) for frame in frames]


def _death_failure(ended: Ended, observed: Observed, around: Circumstances) -> Failure:
    if ended.successor is not None or ended.reason == "silent" or ended.returncode == CHANNEL_LOST:
        return _channel_closed(observed, ended.successor, script=around.script)
    if ended.returncode >= 0 and not observed.phases:
        said = next((line.strip() for line in reversed(around.printed.splitlines()) if line.strip()), "it said nothing")
        text = f"The worker process could not start (exit status {ended.returncode}): {said}"
        return _plain("not-started", text, EXIT_INTERNAL)
    if ended.returncode >= 0:
        whose = "script" if around.script else "pipeline's code"
        text = (
            f"The worker process exited with status {ended.returncode} in phase {_where(observed)}, and Python raised "
            f"nothing: look for os._exit() in the {whose}, or exit() in a library that it calls."
        )
        return _plain("exited", text, EXIT_PIPELINE)
    number = -ended.returncode
    if number == signal.SIGKILL and around.oom.killed:
        return _out_of_memory(ended, observed, around, "kernel")
    name = _name_of_signal(number)
    frame = _typed_frame(users_frame_of_stacks(around.stacks))
    place = f" Your code was at {frame.file}:{frame.line}." if frame else ""
    crash = _CRASHES.get(number)
    if crash and around.lacks_proc and observed.phase == "import":
        place = " /proc is not mounted, and TensorFlow cannot be loaded without it."
    if crash:
        text = f"The worker crashed with {crash} ({name}) in phase {_where(observed)}.{place}"
        cause = cause_of_error(around.printed)
        because = f" {cause[0].upper()}{cause[1:]}." if cause is not None else ""
        return _plain(SERVICE_FAILED if cause is not None else "crashed", f"{text}{because}", EXIT_PIPELINE)
    whose = "the script itself" if around.script else "the pipeline's code"
    text = f"The worker ended by {name} in phase {_where(observed)}: another process sent it, or {whose} did."
    if number == signal.SIGKILL:
        unsure = "It may have run out of memory."
        if around.oom.killed is False:
            unsure = "The kernel reported no lack of memory."
        text = f"Another process killed the worker ({name}) in phase {_where(observed)}. {unsure}"
    measured = " What was to be measured is complete." if observed.complete else ""
    return _plain("killed", f"{text}{measured}", EXIT_PIPELINE)


def _out_of_memory(ended: Ended, observed: Observed, around: Circumstances, by: str | None) -> Failure:
    limit = around.limit
    if by == "kernel":
        enforced = f"the kernel killed the worker at {_whose_memory(around.oom)}"
    elif by == "ulimit" and around.address_space is not None:
        enforced = f"the system refused memory at the limit of {size(around.address_space)} for addresses (ulimit -v)"
    elif by == "python":
        message = observed.error.message if observed.error else ""
        who = "TensorFlow" if message.startswith("ResourceExhausted") else "Python"
        enforced = f"{who} could not allocate more memory ({message})"
    elif limit is not None:
        source = {"option": "--memory-limit", "cgroup": "the control group's limit minus a reserve"}.get(
            limit.source, "the machine's free memory minus a reserve"
        )
        enforced = f"pipeprof stopped the worker at the limit of {size(limit.bytes)} ({source})"
    else:
        enforced = "the worker was stopped"
    held = f"; it used {size(ended.last.used_bytes)}" if ended.last else ""
    grew = f", growing by {size(around.growth)} per second" if around.growth and around.growth > 0 else ""
    phases = ", ".join(f"{phase_words(name)} {size(peak)}" for name, peak in around.peaks.items())
    largest = f"Peak by phase: {phases}." if phases else "Its memory was not sampled."
    stage, buffer = _largest_buffer(observed, around)
    error = observed.error if by in ("python", "ulimit") else None
    raised = _stage_at(error.address, around) if error is not None else None
    blamed = f" Last seen: {stage_label(stage) if stage else buffer[0]} buffered {size(buffer[1])}." if buffer else ""
    frame = _typed_frame(error.frame) if error is not None else None
    at = f" at {frame.file}:{frame.line}" if frame else ""
    named = stage_label(raised) if raised else (error.words if error is not None else None)
    refused = f" It was refused{f' in {named}' if named else ''}{at}." if named or at else ""
    text = (
        f"Out of memory in phase {_where(observed)}, {around.seconds:.1f} s after the start: {enforced}{held}{grew}. "
        f"{largest}{refused}{blamed}"
    )
    stage = stage or raised
    problem = Problem(code="out-of-memory", message=text, stage=stage.id if stage else None)
    location = stage.location if stage else Location(file=frame.file, line=frame.line) if frame else None
    if location is not None:
        problem.file, problem.line, problem.column = location.file, location.line, location.column
    if error is not None:
        problem.frames, problem.traceback = _as_typed(error.frames), error.traceback
    return Failure(problem, EXIT_PIPELINE)


def _largest_buffer(observed: Observed, around: Circumstances) -> tuple[Stage | None, tuple[str, int] | None]:
    """Return op and bytes of the largest buffer at the last look, and its stage where only one is meant."""
    model = observed.answer.model if observed.answer is not None else None
    nodes = model["nodes"] if model is not None else []
    known = [index for index, node in enumerate(nodes) if holder(kind_of(node)) is not None]
    largest = max(known, key=lambda index: nodes[index]["buffered_bytes"], default=None)
    last = around.last_bytes
    nbytes = int(nodes[largest]["buffered_bytes"]) if largest is not None else 0
    # What is more than the process had is no reading.
    if largest is None or nbytes < _LARGE_BUFFER or (last is not None and nbytes > last):
        return None, None
    held = holder(kind_of(nodes[largest]))
    op = held[1] if held is not None else ""
    same = [stage.id for stage in around.view.stages if stage.op == op] if around.view is not None else []
    return _stage_at(same[0], around) if len(same) == 1 else None, (op, nbytes)


def _stage_at(address: str | None, around: Circumstances) -> Stage | None:
    """A written stage by its address, or by the name that the user of a function gave it."""
    if address is None or address in around.stages:
        return around.stages.get(address or "")
    stages = around.view.stages if around.view is not None else ()
    stage = next((row for row in stages if address in (row.id, row.name)), None)
    return row_of(stage) if stage is not None else None


def _hang_failure(ended: Ended, observed: Observed, around: Circumstances) -> Failure:
    frames = observed.answer.frames if observed.answer is not None else []
    frame = _typed_frame(frames[0] if frames else users_frame_of_stacks(around.stacks))
    place = (
        f" Your code was at {frame.file}:{frame.line}{f', in {frame.function}' if frame.function else ''}."
        if frame
        else ""
    )
    seconds = observed.patience(around.timeout)
    option = " (--timeout)" if seconds == around.timeout else ""
    who = "Starting takes too long" if observed.phase == "import" else "The pipeline hangs"
    if ended.suspended:
        who = "The process was stopped (SIGSTOP, or a debugger) and not continued"
    progress = f"no progress for {seconds:g} s{option} in phase {_where(observed)}"
    if observed.grows_at_its_end(around.timeout):
        seconds = GROWING_TIMES * around.timeout
        progress = f"it was still building after {seconds:g} s ({GROWING_TIMES} × --timeout), with growing memory"
    if ended.waited is not None:
        progress = f"no progress for {ended.waited:.0f} s in phase {_where(observed)}"
    causes = around.silent_services
    because = "".join(f" {cause[0].upper()}{cause[1:]}." for cause in causes)
    if causes and around.oom.killed:
        because += f" Meanwhile the kernel killed a process at {_whose_memory(around.oom)}."
    text = f"{who}: {progress}.{place}{because}"
    problem = Problem(code=SERVICE_FAILED if causes else "hung", message=text)
    stage = next((row for row in around.stages.values() if traits(row.op).remote), None) if causes else None
    if frame:
        problem.file, problem.line = frame.file, frame.line
    elif stage is not None and stage.location is not None:
        problem.stage, problem.file, problem.line = stage.id, stage.location.file, stage.location.line
    return Failure(problem, EXIT_PIPELINE)


def _typed_frame(frame: ErrorFrame | None) -> ErrorFrame | None:
    return replace(frame, file=as_typed(frame.file)) if frame is not None else None
