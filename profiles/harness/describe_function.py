"""``init --from file.py:function``: a worker calls the function and writes the equivalent spec."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.data.temporary import nameless_file
from pipeprof.pipelines.errors import PipelineFailedError, PipeprofError, UsageError
from pipeprof.pipelines.target.import_path import child_command
from pipeprof.profiles.harness.process import WorkerOutput
from pipeprof.profiles.host.run_family import RunFamily
from pipeprof.profiles.protocol.describe import DescribeAnswer, DescribeJob, SpecOfFunction
from pipeprof.profiles.protocol.records import decode_record, encode_record
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob

_READ = 1 << 16

GRAPH_SECONDS = 120.0
"""Time that a function has to be called and its graph to be read."""


@dataclass(frozen=True)
class DescribedTarget(SpecOfFunction):
    """A spec of a user's function, and what the function printed."""

    printed: str


def describe_target(
    target: str,
    arguments: Sequence[tuple[str, str]],
    *,
    folder: Path,
    name: str,
    arrays: str | None,
    force: bool,
    schema: str | None = None,
) -> DescribedTarget:
    """Return the spec of a function.

    Args:
        folder: Absolute folder that the spec will be in.
        arrays: Prefix of the names of arrays that are saved there; None to save none.
        force: Whether they may replace files.
        schema: The schema as the spec's first line names it; None for no such line.

    Raises:
        UsageError: It gives no dataset, or its arguments do not fit.
        PipelineFailedError: It raised.
        PipeprofError: pipeprof itself failed.
    """
    job = DescribeJob(
        target=target,
        arguments=list(arguments),
        folder=str(folder),
        name=name,
        arrays=arrays,
        force=force,
        schema=schema,
    )
    text, printed, code = ask_worker("describe_function", encode_record(job))
    answer = decode_record(DescribeAnswer, json.loads(text)) if text else None
    failure = answer.failure if answer is not None else None
    if failure is not None and failure.kind == "usage":
        raise UsageError(failure.message)
    if failure is not None and failure.kind == "internal":
        raise PipeprofError(failure.message)
    if failure is not None:
        raise PipelineFailedError(failure.message)
    if answer is None or answer.spec is None:
        tail = "\n".join(printed.splitlines()[-20:])
        msg = f"the process that called {target} ended ({code}) before it could answer"
        raise PipelineFailedError(f"{msg}:\n{tail}" if tail else msg)
    return DescribedTarget(**vars(answer.spec), printed=printed)


def ask_for_graph(job: GraphJob) -> GraphAnswer:
    """Call a function in a process of its own, and read its graph."""
    text, _, code = ask_worker("source.graph_of_source", encode_record(job), seconds=GRAPH_SECONDS)
    if not text:
        return GraphAnswer(failure=f"its process ended ({code}) before it could answer")
    return decode_record(GraphAnswer, json.loads(text))


def ask_worker(module: str, job: str, *, seconds: float | None = None) -> tuple[bytes, str, int]:
    """Run a worker that gives one answer; return that, its output, and its exit status.

    Args:
        seconds: After which it is ended; None for any time.
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
                code = -1
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
