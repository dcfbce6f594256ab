"""Worker that builds specs with placeholders for their data, one after the other, each in a copy of this process.

Started with the descriptor for its answers as its argument; jobs come on stdin, a line each. A copy takes milliseconds
where TensorFlow's import takes seconds, and neither the files of a spec nor its crash are the next one's concern.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.host_files import settle_temporary_folder
from pipeprof.profiles.host.run_family import die_with_guard
from pipeprof.profiles.protocol.channel import encode
from pipeprof.profiles.protocol.options import READY, LookAnswer, LookJob, from_pairs
from pipeprof.profiles.worker.ended import end_at_once
from pipeprof.profiles.worker.error_text import first_line
from pipeprof.profiles.worker.load_function import look_like_a_script
from pipeprof.profiles.worker.versions import import_tensorflow


def main() -> int:
    """Answer until the jobs end; a single job where copies cannot use what is loaded, as on macOS."""
    answers = int(sys.argv[1])
    die_with_guard()
    settle_temporary_folder()
    try:
        import_tensorflow()
        _load()
    except PipeprofError as error:
        os.write(answers, encode(LookAnswer(kind="installation", message=str(error))).encode())
        return 0
    os.write(answers, READY)
    for line in sys.stdin.buffer:
        if not sys.platform.startswith("linux"):
            _send(answers, _answer(line))
            return 0
        copy = os.fork()
        if not copy:
            _send(answers, _answer(line))
            end_at_once()
        _, status = os.waitpid(copy, 0)
        code = os.waitstatus_to_exitcode(status)
        if code:
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            _send(answers, LookAnswer(kind="ended", message=how))
    return 0


def _load() -> None:
    """Import what each copy needs."""
    from pipeprof.pipelines.build import look  # noqa: F401 - for the copies
    from pipeprof.pipelines.spec import spec  # noqa: F401 - for the copies


def _send(answers: int, answer: LookAnswer) -> None:
    text = encode(answer).encode()
    while text:
        text = text[os.write(answers, text) :]


def _answer(line: bytes) -> LookAnswer:
    job = LookJob(**json.loads(line))
    # The jobs that follow are not for the user's code to read.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    look_like_a_script(job.target)
    try:
        return _look(job)
    except BaseException as error:
        # Also where the user's code ends the process.
        return LookAnswer(kind="python", message=first_line(error))


def _look(job: LookJob) -> LookAnswer:
    from pipeprof.pipelines.build.look import DATA, LookContext, look
    from pipeprof.pipelines.build.pinned import BuildError
    from pipeprof.pipelines.spec.spec import spec_of

    data: Any = from_pairs(job.data)
    entries = spec_of(data).data
    context = LookContext(Path(job.base_dir), entries, {name: Path(folder) for name, folder in job.made.items()})
    try:
        return LookAnswer(graph=look(data, context))
    except BuildError as error:
        unmade = any(f"{DATA}{name}" in error.message for name in context.recipes)
        return LookAnswer(
            None, "unmade" if unmade else error.kind, error.message, error.address, error.op_path, list(error.lines)
        )
