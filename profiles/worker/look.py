"""Worker that builds targets, one after the other, each in a copy of this process; nothing is iterated.

A spec is built with placeholders for its data, a function is called. Started with the descriptor for its answers as its
argument; jobs come on stdin, a line each. A copy takes milliseconds where TensorFlow's import takes seconds, and
neither the files of a target nor its crash are the next one's concern.
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
from pipeprof.profiles.protocol.messages import Sketch
from pipeprof.profiles.protocol.options import READY, SERVICE, LookAnswer, Options, from_pairs, in_worker
from pipeprof.profiles.user_frames import frames_of_error, text_of
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.ended import end_at_once, first_line, raise_oom_score
from pipeprof.profiles.worker.pipeline import call_target, import_tensorflow, look_like_a_script
from pipeprof.profiles.worker.script.import_guard import ImportGuard


def main() -> int:
    """Answer until the jobs end; a single job where copies cannot use what is loaded, as on macOS."""
    answers = int(sys.argv[1])
    die_with_guard()
    raise_oom_score()
    settle_temporary_folder()
    try:
        import_tensorflow()
        from pipeprof.pipelines.build import look  # noqa: F401 - for the copies
        from pipeprof.pipelines.spec import spec  # noqa: F401 - for the copies
    except PipeprofError as error:
        os.write(answers, encode(LookAnswer(kind="installation", message=str(error))).encode())
        return 0
    os.write(answers, READY)
    for line in sys.stdin.buffer:
        copy = os.fork() if sys.platform.startswith("linux") else 0
        if not copy:
            _answer(answers, line)
            end_at_once()
        _, status = os.waitpid(copy, 0)
        code = os.waitstatus_to_exitcode(status)
        if code:
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            _send(answers, LookAnswer(kind="ended", message=how))
    return 0


def _send(answers: int, answer: LookAnswer) -> None:
    text = encode(answer).encode()
    while text:
        text = text[os.write(answers, text) :]


def _answer(answers: int, line: bytes) -> None:
    job = in_worker(json.loads(line))
    # The jobs that follow are not for the user's code to read.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    look_like_a_script(str(job.target.path))

    def end(error: BaseException) -> None:
        _send(answers, _answer_of(error))
        end_at_once()

    ImportGuard(end).begin()
    own = os.getpid()
    try:
        answer = _build(job) if job.data is not None else _call(job)
    except BaseException as error:
        # Also where the user's code ends the process.
        answer = _answer_of(error)
    if os.getpid() == own:
        # No copy that the user's code has made.
        _send(answers, answer)


def _answer_of(error: BaseException) -> LookAnswer:
    from pipeprof.profiles.worker.error_report import error_outside_stages

    code, message = error_outside_stages(error, text_of(error), script=False) or ("", first_line(error))
    lines = [
        f"{as_typed(frame.file)}:{frame.line} in {frame.function}: {frame.source}" for frame in frames_of_error(error)
    ]
    return LookAnswer(kind="target" if code == "target" else "python", message=message, lines=lines)


def _call(job: Options) -> LookAnswer:
    from pipeprof.pipelines.graph.observe.build_watch import held_bytes
    from pipeprof.pipelines.graph.observe.reading import read_graphs

    arguments = job.target.arguments
    if any(SERVICE in value for _, value in arguments):
        from pipeprof.profiles.worker.services import start_local_service

        address = start_local_service(import_tensorflow(), 1).address
        arguments = tuple((name, value.replace(SERVICE, address)) for name, value in arguments)
    called = call_target(str(job.target), arguments)
    dataset, watch = called.dataset, called.watch
    held = held_bytes(watch.made) + watch.lines.held_bytes(dataset)
    found = read_graphs(dataset, in_memory=held, watch=watch)
    made = watch.made
    return LookAnswer(Sketch(found.written, found.places, made, found.constants), notes=list(called.notes))


def _build(job: Options) -> LookAnswer:
    from pipeprof.pipelines.build.look import DATA, LookContext, look
    from pipeprof.pipelines.build.pinned import BuildError
    from pipeprof.pipelines.spec.spec import spec_of

    data: Any = from_pairs(job.data)
    entries = spec_of(data).data
    context = LookContext(
        Path(job.base_dir or ""), entries, {name: Path(folder) for name, folder in job.data_dirs.items()}
    )
    try:
        return LookAnswer(Sketch(look(data, context)))
    except BuildError as error:
        unmade = any(f"{DATA}{name}" in error.message for name in context.recipes)
        return LookAnswer(
            None, "unmade" if unmade else error.kind, error.message, error.address, error.op_path, list(error.lines)
        )
