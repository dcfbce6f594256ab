"""Questions about a user's function or script that one process answers: its graph, what hosts make of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess

from pipeprof.pipelines.data.temporary import nameless_file
from pipeprof.pipelines.errors import PipelineFailedError, PipeprofError, UsageError
from pipeprof.pipelines.target.import_path import child_command
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.harness.process import WorkerOutput
from pipeprof.profiles.host.run_family import RunFamily
from pipeprof.profiles.protocol.records import decode_record, encode_record
from pipeprof.profiles.protocol.source import (
    DescribeFailure,
    GraphAnswer,
    GraphJob,
    HostsAnswer,
    HostsJob,
    ScriptGraphJob,
)

_READ = 1 << 16
_LATE = -1000

GRAPH_SECONDS = 120.0
"""Time that a function has to be called and its graph to be read."""


def ask_for_hosts(target: ParsedTarget, hosts: int) -> HostsAnswer:
    """Call a function as hosts call it, in a process of its own, and read the stages of what it returns.

    Raises:
        UsageError: It gives no dataset, or its arguments do not fit.
        PipelineFailedError: It raised, or did not return.
        PipeprofError: pipeprof itself failed.
    """
    job = HostsJob(str(target), list(target.arguments), str(target.path.resolve()), hosts)
    text, printed, code = ask_worker("source.hosts_of_function", encode_record(job), seconds=GRAPH_SECONDS)
    answer = decode_record(HostsAnswer, json.loads(text)) if text else None
    _refuse(answer.failure if answer is not None else None)
    if answer is None:
        raise _ended(str(target), printed, code)
    return answer


def _refuse(failure: DescribeFailure | None) -> None:
    """Raise what a worker could not answer as the error that it is."""
    kinds = {"usage": UsageError, "internal": PipeprofError, "pipeline": PipelineFailedError}
    if failure is not None:
        raise kinds[failure.kind](failure.message)


def _ended(target: str, printed: str, code: int) -> PipelineFailedError:
    tail = "\n".join(printed.splitlines()[-20:])
    said = f"the process that called {target} {_end(code)}"
    return PipelineFailedError(f"{said}:\n{tail}" if tail else said)


def _end(code: int) -> str:
    late = f"had no answer after {GRAPH_SECONDS:.0f} s"
    return late if code == _LATE else f"ended ({code}) before it could answer"


def ask_for_graph(job: GraphJob | ScriptGraphJob) -> GraphAnswer:
    """Call a function, or run a script until its dataset is there, in a process of its own, and read the graph."""
    worker = "graph_of_source" if isinstance(job, GraphJob) else "graph_of_script"
    text, _, code = ask_worker(f"source.{worker}", encode_record(job), seconds=GRAPH_SECONDS)
    if not text:
        return GraphAnswer(failure=f"its process {_end(code)}")
    return decode_record(GraphAnswer, json.loads(text))


def ask_worker(module: str, job: str, *, seconds: float | None = None) -> tuple[bytes, str, int]:
    """Run a worker that gives one answer; return that, its output, and its exit status.

    Args:
        seconds: After which it is ended, and its exit status is `_LATE`; None for any time.
    """
    # Files, not pipes: processes that the function started may hold them open for ever.
    with nameless_file() as answers, nameless_file() as prints, RunFamily() as family:
        command = child_command(f"pipeprof.profiles.worker.{module}", str(answers.fileno()))
        reads, writes = os.pipe()
        with os.fdopen(writes, "wb") as sender:
            try:
                worker = family.start(command, (reads, prints, prints), (answers.fileno(),))
            except OSError as error:
                raise PipeprofError(f"the worker could not be started: {error.strerror or error}") from error
            finally:
                os.close(reads)
            with contextlib.suppress(BrokenPipeError):
                sender.write(job.encode())
                sender.flush()
        try:
            try:
                code = worker.wait(seconds)
            except subprocess.TimeoutExpired:
                code = _LATE
        finally:
            family.end(worker.pid)
            worker.wait()
        answers.seek(0)
        prints.seek(0)
        output = WorkerOutput()
        while chunk := prints.read(_READ):
            output.add(chunk)
        text = answers.read()
    return text, output.users() or "", code
