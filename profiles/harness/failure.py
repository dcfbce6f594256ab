"""Diagnosis of a failed sample: what happened, where, and which limit was enforced; faults of a tf.data service."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.meaning.traits import holder, traits
from pipeprof.pipelines.tables import read_table
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.profile import Problem
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.harness.received import GROWING_TIMES
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.procfs import is_missing
from pipeprof.profiles.memory.buffers import kind_of
from pipeprof.profiles.protocol.channel import CHANNEL_LOST
from pipeprof.profiles.protocol.messages import SERVICE_FAILED
from pipeprof.profiles.user_frames import users_frame_of_stacks
from pipeprof.profiles.view.from_graph import row_of
from pipeprof.profiles.wording import as_typed, listed, phase_words, size, stage_label

if TYPE_CHECKING:
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.harness.event_loop import Ended
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.limits import MemoryLimit, OomReport
    from pipeprof.profiles.host.sampler import Sampler
    from pipeprof.profiles.protocol.messages import Raised
    from pipeprof.profiles.protocol.options import Options
    from pipeprof.profiles.view.view import PipelineView


EXIT_INTERNAL, EXIT_SPEC, EXIT_PIPELINE = 1, 2, 5
_LARGE_BUFFER = 50_000_000
"""Bytes from which a buffer is named in a report of lacking memory."""
_MOST_COMMAND = 200
"""Characters of a command line in a message."""
_CUT: Final = "the gain of a free pipeline and the ops inside stages are n/a."
_EXEC: Final = "`{successor}`: look for os.exec…()."
_CLOSED: Final = "look for os.close() and os.closerange()."
_EXIT: Final = "look for os._exit(), or exit() in a library that your code calls."
_SENT: Final = "another process sent it, or your code did."
ENDS: Final = {
    "interrupted": ("interrupted", 130, "Interrupted in phase {phase}."),
    "terminated": ("terminated", 143, "Ended by SIGTERM in phase {phase}."),
    "hung-up": ("hung-up", 129, "Ended by SIGHUP (the terminal was closed) in phase {phase}."),
    "max-time": ("max-time", 5, "Stopped after {max_time:g} s (--max-time) in phase {phase}."),
    "cut": ("max-time", 5, "Stopped after {max_time:g} s (--max-time): {measured} were measured of {planned}; " + _CUT),
    "replaced": ("exited", 5, "Your code replaced the worker by another program in phase {phase}, " + _EXEC),
    "closed": ("channel-closed", 5, "Your code closed descriptors that are not its own in phase {phase}: " + _CLOSED),
    "not-started": ("not-started", 1, "The worker process could not start (exit status {status}): {said}"),
    "exited": ("exited", 5, "The worker exited with status {status} in phase {phase} without an exception: " + _EXIT),
    "crashed": ("crashed", 5, "The worker crashed with {crash} ({signal}) in phase {phase}.{place}"),
    "killed": ("killed", 5, "Another process killed the worker (SIGKILL) in phase {phase}. {unsure}{complete}"),
    "signal": ("killed", 5, "The worker ended by {signal} in phase {phase}: " + _SENT + "{complete}"),
}
"""Code, exit code and sentence of each end that needs no further look."""
_DID = {
    "exited": "Your code called exit",
    "step-raised": "The step raised an exception",
    SERVICE_FAILED: "The tf.data service failed",
}
"""What an error of a code did; any other one was raised."""
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
        silent_services: What is wrong with the tf.data services that it waited for, when it was taken to hang.
    """

    options: Options
    sampler: Sampler
    limit: MemoryLimit | None
    oom: OomReport
    stages: Mapping[str, Stage] = field(default_factory=dict)
    view: PipelineView | None = None
    printed: str = ""
    stacks: str = ""
    silent_services: Sequence[str] = ()


@dataclass(frozen=True)
class Failure:
    """A diagnosis and the command's exit code."""

    problem: Problem
    exit_code: int


def describe_end(returncode: int | None, printed: str, oom: OomReport) -> str:
    """State how a process ended that can say nothing any more, as in "it was ended by SIGSEGV".

    Args:
        returncode: Its exit status, or minus the signal; None where it closed its channel and goes on.
    """
    if returncode is None or returncode == CHANNEL_LOST:
        return "closed descriptors that it had not opened"
    if _REFUSED.search(printed):
        return "could not allocate memory"
    if returncode >= 0:
        return f"ended with exit status {returncode}"
    if returncode == -signal.SIGKILL and oom.killed:
        return f"was killed by the kernel at {_whose_memory(oom)}"
    return f"was ended by {_name_of_signal(-returncode)}"


def _name_of_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _whose_memory(oom: OomReport) -> str:
    most = f" of {size(oom.limit_bytes)}" if oom.limit_bytes else ""
    return f"the memory limit{most} of its control group" if oom.by == "cgroup" else "the machine's memory"


def diagnose(  # noqa: PLR0911 - one for each kind of end
    ended: Ended, observed: Observed, around: Circumstances
) -> Failure | None:
    """Diagnose an end; None if the measurement was complete."""
    error, reason = observed.error, ended.reason
    if observed.complete and reason not in ("interrupted", "terminated", "hung-up"):
        if reason == "max-time":
            return _plain("cut", ended, observed, around) if observed.was_cut else None
        return _death(ended, observed, around) if _was_ended(ended, observed, around) else None
    if reason == "hung":
        return _hang(ended, observed, around)
    if reason == "memory-limit":
        return _out_of_memory(ended, observed, around, "limit")
    if reason not in ("exit", "silent", "long-trace"):
        return _plain(reason, ended, observed, around)
    if error is not None and _cause_in_service(observed, error) is not None:
        # Also where memory was refused: to a worker of the service, and not here.
        return _raised(observed, error, around)
    said = f"{error.code} {error.message}" if error is not None else around.printed
    if limits.address_space() is not None and (said.startswith("out-of-memory") or _REFUSED.search(said)):
        return _out_of_memory(ended, observed, around, "ulimit")
    if error is None:
        return _death(ended, observed, around)
    if error.code == "out-of-memory":
        return _out_of_memory(ended, observed, around, "python")
    return _raised(observed, error, around)


def _was_ended(ended: Ended, observed: Observed, around: Circumstances) -> bool:
    """Whether a signal ended the worker that is no crash, and not the kernel's for lack of memory."""
    number = -ended.returncode
    if ended.reason != "exit" or observed.done or number <= 0 or number in _CRASHES:
        return False
    return number != signal.SIGKILL or not around.oom.killed


def _plain(end: str, ended: Ended, observed: Observed, around: Circumstances) -> Failure:
    code, exit_code, sentence = ENDS[end]
    steps = observed.measured.steps if observed.measured is not None else None
    printed = [line.strip() for line in around.printed.splitlines() if line.strip()]
    frame = _typed(users_frame_of_stacks(around.stacks))
    place = f" Your code was at {frame.file}:{frame.line}." if frame else ""
    if is_missing() and observed.phase == "import":
        place = " /proc is not mounted, and TensorFlow cannot be loaded without it."
    message = sentence.format(
        phase=_where(observed),
        max_time=around.options.max_time or 0.0,
        measured=f"{steps.seconds:.1f} s and {steps.count:,} steps" if steps is not None else "0 steps",
        planned=around.options.length,
        successor=(ended.successor or "")[:_MOST_COMMAND],
        status=ended.returncode,
        said=printed[-1] if printed else "it said nothing",
        signal=_name_of_signal(-ended.returncode),
        crash=_CRASHES.get(-ended.returncode),
        place=place,
        unsure="The kernel reported no lack of memory."
        if around.oom.killed is False
        else "It may have run out of memory.",
        complete=" What was to be measured is complete." if observed.complete else "",
    )
    return Failure(Problem(code=code, message=message), exit_code)


def _death(ended: Ended, observed: Observed, around: Circumstances) -> Failure:
    code = ended.returncode
    if ended.successor is not None:
        end = "replaced"
    elif ended.reason == "silent" or code == CHANNEL_LOST:
        end = "closed"
    elif code >= 0:
        end = "exited" if observed.phases else "not-started"
    elif code == -signal.SIGKILL and around.oom.killed:
        return _out_of_memory(ended, observed, around, "kernel")
    else:
        end = "crashed" if -code in _CRASHES else "killed" if code == -signal.SIGKILL else "signal"
    failure = _plain(end, ended, observed, around)
    if end == "crashed" and (cause := cause_of_error(around.printed)) is not None:
        failure.problem.code = SERVICE_FAILED
        failure.problem.message += f" {_sentence(cause)}"
    return failure


def _sentence(cause: str) -> str:
    return f"{cause[0].upper()}{cause[1:]}."


def _where(observed: Observed) -> str:
    # The last sign of progress is older than the statistics of an end.
    steps = observed.measured.steps.count if observed.final and observed.measured is not None else observed.steps
    after = f" after {steps:,} steps" if steps and observed.phase in ("warmup", "measure") else ""
    return f"{phase_words(observed.phase)}{after}"


def _raised(observed: Observed, error: Raised, around: Circumstances) -> Failure:
    stage = around.stages.get(error.address or "")
    frame = _typed(error.frame)
    cause = _cause_in_service(observed, error)
    message = error.message
    if error.code in {"empty", "never-iterated", "write-before-steps"}:
        message = f"Nothing to measure: {message}."
    elif error.kind == "pipeline":
        unknown = f"stage {error.address}" if error.address else None
        named = stage_label(stage) if stage else error.words or unknown
        place = f" at {frame.file}:{frame.line}" if frame else ""
        of = f" in {named}" if named else ""
        did = _DID.get(
            error.code, f"The {'script' if around.options.kind == 'script' else 'pipeline'} raised an exception"
        )
        message = f"{did}{of}{place}, phase {_where(observed)}: {message}"
    if cause is not None:
        message = f"{message}{'' if message.endswith('.') else '.'} {_sentence(cause)}"
    problem = Problem(
        code=SERVICE_FAILED if cause is not None else error.code,
        message=message,
        stage=error.address,
        address=error.address,
    )
    if error.kind == "installation":
        return Failure(problem, EXIT_INTERNAL)
    _pin(problem, stage, frame, error)
    return Failure(problem, EXIT_SPEC if error.kind == "spec" and error.code != "build" else EXIT_PIPELINE)


def _pin(problem: Problem, stage: Stage | None, frame: ErrorFrame | None, error: Raised | None = None) -> None:
    """Set the place of a problem: that of the stage, else the user's line; and the frames of an error."""
    at = stage.location if stage else Location(file=frame.file, line=frame.line) if frame else None
    if at is not None:
        problem.file, problem.line, problem.column = at.file, at.line, at.column
    if error is not None:
        problem.frames = [replace(frame, file=as_typed(frame.file)) for frame in error.frames]
        problem.traceback = error.traceback


def _cause_in_service(observed: Observed, error: Raised) -> str | None:
    """Why a tf.data service raised an error; None where it was something else."""
    python = [place for service in observed.services for place in service.python]
    return cause_of_error(f"{error.message}\n{error.traceback or ''}", python) if error.kind == "pipeline" else None


def _out_of_memory(ended: Ended, observed: Observed, around: Circumstances, by: str) -> Failure:
    error = observed.error if by in ("python", "ulimit") else None
    held = f"; it used {size(ended.last.used_bytes)}" if ended.last else ""
    growth = around.sampler.growth()
    grew = f", growing by {size(growth)} per second" if growth and growth > 0 else ""
    phases = ", ".join(f"{phase_words(name)} {size(peak)}" for name, peak in around.sampler.peaks().items())
    largest = f"Peak by phase: {phases}." if phases else "Its memory was not sampled."
    stage, buffer = _largest_buffer(ended, observed, around)
    blamed = f" Last seen: {stage_label(stage) if stage else buffer[0]} buffered {size(buffer[1])}." if buffer else ""
    raised = _stage_at(error.address, around) if error is not None else None
    frame = _typed(error.frame) if error is not None else None
    at = f" at {frame.file}:{frame.line}" if frame else ""
    named = stage_label(raised) if raised else (error.words if error is not None else None)
    refused = f" It was refused{f' in {named}' if named else ''}{at}." if named or at else ""
    text = (
        f"Out of memory in phase {_where(observed)}, {around.sampler.elapsed():.1f} s after the start: "
        f"{_enforced(by, error, around)}{held}{grew}. {largest}{refused}{blamed}"
    )
    stage = stage or raised
    problem = Problem(code="out-of-memory", message=text, stage=stage.id if stage else None)
    _pin(problem, stage, frame, error)
    return Failure(problem, EXIT_PIPELINE)


def _enforced(by: str, error: Raised | None, around: Circumstances) -> str:
    limit, message = around.limit, error.message if error is not None else ""
    if by == "kernel":
        return f"the kernel killed the worker at {_whose_memory(around.oom)}"
    if by == "ulimit":
        return (
            f"the system refused memory at the limit of {size(limits.address_space() or 0)} for addresses (ulimit -v)"
        )
    if by == "python":
        who = "TensorFlow" if message.startswith("ResourceExhausted") else "Python"
        return f"{who} could not allocate more memory ({message})"
    if limit is None:
        return "the worker was stopped"
    source = {"option": "--memory-limit", "cgroup": "the control group's limit minus a reserve"}.get(
        limit.source, "the machine's free memory minus a reserve"
    )
    return f"pipeprof stopped the worker at the limit of {size(limit.bytes)} ({source})"


def _largest_buffer(
    ended: Ended, observed: Observed, around: Circumstances
) -> tuple[Stage | None, tuple[str, int] | None]:
    """Return op and bytes of the largest buffer at the last look, and its stage where only one is meant."""
    model = observed.answer.model if observed.answer is not None else None
    known = [(holder(kind_of(node)), int(node["buffered_bytes"])) for node in (model["nodes"] if model else ())]
    nodes = [(held[1], nbytes) for held, nbytes in known if held is not None]
    op, nbytes = max(nodes, key=lambda node: node[1], default=("", 0))
    # What is more than the process had is no reading.
    if nbytes < _LARGE_BUFFER or (ended.last is not None and nbytes > ended.last.used_bytes):
        return None, None
    same = [stage.id for stage in around.view.stages if stage.op == op] if around.view is not None else []
    return _stage_at(same[0], around) if len(same) == 1 else None, (op, nbytes)


def _stage_at(address: str | None, around: Circumstances) -> Stage | None:
    """A written stage by its address, or by the name that the user of a function gave it."""
    if address is None or address in around.stages:
        return around.stages.get(address or "")
    stages = around.view.stages if around.view is not None else ()
    stage = next((row for row in stages if address in (row.id, row.name)), None)
    return row_of(stage) if stage is not None else None


def _hang(ended: Ended, observed: Observed, around: Circumstances) -> Failure:
    frames = observed.answer.frames if observed.answer is not None else []
    frame = _typed(frames[0] if frames else users_frame_of_stacks(around.stacks))
    function = f", in {frame.function}" if frame and frame.function else ""
    place = f" Your code was at {frame.file}:{frame.line}{function}." if frame else ""
    seconds = observed.patience(around.options.timeout)
    option = " (--timeout)" if seconds == around.options.timeout else ""
    who = "Starting takes too long" if observed.phase == "import" else "The pipeline hangs"
    if ended.suspended:
        who = "The process was stopped (SIGSTOP, or a debugger) and not continued"
    progress = f"no progress for {seconds:g} s{option} in phase {_where(observed)}"
    if observed.grows_at_its_end(around.options.timeout):
        seconds = GROWING_TIMES * around.options.timeout
        progress = f"it was still building after {seconds:g} s ({GROWING_TIMES} × --timeout), with growing memory"
    if ended.waited is not None:
        progress = f"no progress for {ended.waited:.0f} s in phase {_where(observed)}"
    causes = around.silent_services
    because = "".join(f" {_sentence(cause)}" for cause in causes)
    if causes and around.oom.killed:
        because += f" Meanwhile the kernel killed a process at {_whose_memory(around.oom)}."
    problem = Problem(code=SERVICE_FAILED if causes else "hung", message=f"{who}: {progress}.{place}{because}")
    stage = next((row for row in around.stages.values() if traits(row.op).remote), None) if causes else None
    if frame is None and stage is not None and stage.location is not None:
        problem.stage, problem.file, problem.line = stage.id, stage.location.file, stage.location.line
    else:
        _pin(problem, None, frame)
    return Failure(problem, EXIT_PIPELINE)


def _typed(frame: ErrorFrame | None) -> ErrorFrame | None:
    return replace(frame, file=as_typed(frame.file)) if frame is not None else None


CONNECT_SECONDS: Final = 1.0
"""For a connection, after which nothing is taken to listen."""


@dataclass(frozen=True)
class Symptom:
    """Row of the table of TensorFlow's messages: groups of the message go into the sentence."""

    said: re.Pattern[str]
    cause: str


@cache
def _faults() -> tuple[Symptom, ...]:
    rows: Sequence[Mapping[str, str]] = read_table("pipeprof.profiles.harness", "faults")
    return tuple(Symptom(re.compile(row["said"], re.DOTALL), row["cause"]) for row in rows)


def cause_of_error(message: str, python: Sequence[ErrorFrame] = ()) -> str | None:
    """The cause behind an error of TensorFlow's about a service, by all of its message; None of other errors."""
    for fault in _faults():
        found = fault.said.search(message)
        if found is not None:
            places = [f"{frame.function} ({as_typed(frame.file)}:{frame.line})" for frame in python]
            return fault.cause.format(*found.groups(), python=listed(places or ["a stage before distribute"]))
    return None


def split_address(address: str) -> tuple[str, int] | None:
    """Host and port of an address with or without a protocol; None for what is none.

    Example:
        >>> split_address("grpc://localhost:5000"), split_address("[::1]:80"), split_address("train")
        (('localhost', 5000), ('::1', 80), None)
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 1 << 16):
        return None
    return host.strip("[]"), int(port)


def listens(address: str) -> bool:
    """Whether something accepts a connection at an address."""
    place = split_address(address)
    if place is None:
        return False
    with contextlib.suppress(OSError), socket.create_connection(place, timeout=CONNECT_SECONDS):
        return True
    return False


def cause_of_silence(address: str) -> str:
    """Why no element comes from a service at host:port that reports no error: TensorFlow waits for ever."""
    if split_address(address) is None:
        return f"no port is in {address}, the address of the dispatcher of the tf.data service"
    if not listens(address):
        return f"nothing listens at {address}, the address of the dispatcher of the tf.data service"
    return (
        f"the tf.data service at {address} gave no element in this time, though something listens there: it has no "
        "worker, a worker is lost or stopped, what listens is no dispatcher, or an element takes longer (--timeout)"
    )
