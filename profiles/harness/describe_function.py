"""``init --from file.py:function``: has a worker call the function and write the spec that says the same."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeprof.pipelines.data.processes import end_group
from pipeprof.pipelines.errors import PipelineFailedError, PipeprofError, UsageError
from pipeprof.profiles.harness.process import Output

_READ = 1 << 16


@dataclass(frozen=True)
class DescribedTarget:
    """A spec of a user's function.

    Attributes:
        text: The spec.
        unsaid: What was left in Python, and why.
        stages: How many stages it has.
        equal: Whether the graph that TensorFlow runs for it is the function's; None if that could not be told.
        why: Why it could not.
        differences: Where the two graphs differ.
        warnings: What else there is to be said.
        printed: What the function printed.
    """

    text: str
    unsaid: tuple[str, ...]
    stages: int
    equal: bool | None
    why: str | None
    differences: tuple[str, ...]
    warnings: tuple[str, ...]
    printed: str


def describe_target(
    target: str, arguments: Sequence[tuple[str, str]], *, folder: Path, name: str, arrays: str | None, force: bool
) -> DescribedTarget:
    """The spec of a function.

    Args:
        target: ``file.py:function`` or ``package.module:function``.
        arguments: Names and texts of ``--arg``.
        folder: Absolute folder that the spec will be in.
        name: Name of the pipeline.
        arrays: What the names of arrays that are saved there begin with; None for none.
        force: Whether they may replace files.

    Raises:
        UsageError: It gives no dataset, or its arguments do not fit.
        PipelineFailedError: It raised.
        PipeprofError: pipeprof itself failed.
    """
    job = {
        "target": target,
        "arguments": [list(pair) for pair in arguments],
        "folder": str(folder),
        "name": name,
        "arrays": arrays,
        "force": force,
        "parent_pid": os.getpid(),
    }
    answer, printed, code = _asked(job)
    if answer is None:
        tail = "\n".join(printed.splitlines()[-20:])
        msg = f"the process that called {target} ended ({code}) before it could answer"
        msg = f"{msg}:\n{tail}" if tail else msg
        raise PipelineFailedError(msg)
    if answer.get("failed") == "usage":
        raise UsageError(answer["message"])
    if answer.get("failed") == "internal":
        raise PipeprofError(answer["message"])
    if answer.get("failed") is not None:
        raise PipelineFailedError(answer["message"])
    listed = {key: tuple(answer[key]) for key in ("unsaid", "differences", "warnings")}
    return DescribedTarget(
        text=answer["text"],
        stages=answer["stages"],
        equal=answer["equal"],
        why=answer["why"],
        printed=printed,
        **listed,
    )


def _asked(job: Mapping[str, object]) -> tuple[dict[str, Any] | None, str, int]:
    """The worker's answer, what was printed, and how it ended."""
    # Files, not pipes: what the function has started may hold them open for ever.
    with tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as prints:
        try:
            worker = subprocess.Popen(
                [sys.executable, "-m", "pipeprof.profiles.worker.describe_function", str(answers.fileno())],
                stdin=subprocess.PIPE,
                stdout=prints,
                stderr=prints,
                pass_fds=(answers.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            msg = f"the worker could not be started: {error.strerror or error}"
            raise PipeprofError(msg) from error
        try:
            if worker.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    worker.stdin.write(json.dumps(dict(job)).encode() + b"\n")
                    worker.stdin.close()
            code = worker.wait()
        finally:
            end_group(worker.pid)
            worker.wait()
        answers.seek(0)
        prints.seek(0)
        output = Output()
        while chunk := prints.read(_READ):
            output.add(chunk)
        text = answers.read()
    return (json.loads(text) if text else None), output.users() or "", code
