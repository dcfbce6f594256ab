"""A worker that gives one answer to one job.

Started with the argument WRITE_FD and the job on stdin; one JSON object is the answer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

from pipeprof.pipelines.data.temporary import settle_temporary_folder
from pipeprof.profiles.host.run_family import die_with_guard
from pipeprof.profiles.protocol.records import decode_record, encode_record
from pipeprof.profiles.worker.script.import_guard import ImportGuard

_Job = TypeVar("_Job")
_Answer = TypeVar("_Answer")


def answer_job(
    kind: type[_Job],
    answer: Callable[[_Job, Callable[[_Answer], NoReturn]], _Answer],
    failed: Callable[[BaseException], _Answer],
) -> NoReturn:
    """Answer the job and end the process, with `failed` after an error or where an imported file trains.

    Args:
        answer: Is also given what ends the process with an answer at once.
    """
    job = decode_record(kind, json.loads(sys.stdin.readline()))
    die_with_guard()
    settle_temporary_folder()
    write_fd, process = int(sys.argv[1]), os.getpid()

    def finish(found: _Answer) -> NoReturn:
        if os.getpid() != process:
            # A copy that the user's code forked; one answer is enough.
            os._exit(0)
        try:
            with os.fdopen(write_fd, "w", encoding="utf-8") as channel:
                channel.write(encode_record(found))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            # Not raised into the user's code. Do not wait for threads of TensorFlow or the user.
            os._exit(0)

    ImportGuard(lambda error: finish(failed(error))).begin()
    try:
        found = answer(job, finish)
    except BaseException as error:
        # BaseException: sys.exit() in the user's code must be reported as well.
        found = failed(error)
    finish(found)
