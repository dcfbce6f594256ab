"""The graph of a user's function or script, which one process answers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess

from pipeprof.pipelines.data.temporary import nameless_file
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.target.import_path import child_command
from pipeprof.profiles.host.run_family import RunFamily
from pipeprof.profiles.protocol.records import decode_record, encode_record
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, ScriptGraphJob

GRAPH_SECONDS = 120.0
"""Time that a function has to be called and its graph to be read."""


def ask_for_graph(job: GraphJob | ScriptGraphJob) -> GraphAnswer:
    """Call a function, or run a script until its dataset is there, in a process of its own, and read the graph."""
    worker = "graph_of_source" if isinstance(job, GraphJob) else "graph_of_script"
    text, code = _ask(f"source.{worker}", encode_record(job))
    if not text:
        late = f"had no answer after {GRAPH_SECONDS:.0f} s"
        return GraphAnswer(failure=f"its process {late if code is None else f'ended ({code}) before it could answer'}")
    return decode_record(GraphAnswer, json.loads(text))


def _ask(module: str, job: str) -> tuple[bytes, int | None]:
    """Run a worker that gives one answer; return that, and its exit status: None where it took too long."""
    # A file, not a pipe: processes that the function started may hold it open for ever.
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
        code: int | None = None
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = worker.wait(GRAPH_SECONDS)
        finally:
            family.end(worker.pid)
            worker.wait()
        answers.seek(0)
        return answers.read(), code
