"""Entry point of the worker process: builds the pipeline, runs its phases, and reports over the channel.

Started by the harness with the descriptors READ_FD WRITE_FD STACKS_FD as its arguments. It may die at any time: results
are sent as soon as they are measured.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Sequence

from pipeprof.pipelines.host_files import settle_temporary_folder
from pipeprof.pipelines.steps.step import SCRIPT
from pipeprof.profiles.host.run_family import die_with_guard
from pipeprof.profiles.protocol.channel import WorkerEnd
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.worker.ended import end_at_once, raise_oom_score
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.pipeline import enter_ref, look_like_a_script, read_instead
from pipeprof.profiles.worker.sample import JobRun
from pipeprof.profiles.worker.script.import_guard import ImportGuard


def _run_of(job: Options, channel: WorkerEnd) -> JobRun:
    if job.kind == "script":
        from pipeprof.profiles.worker.script.run_script import ScriptRun
        from pipeprof.profiles.worker.script.script_job import taken

        return ScriptRun(job, channel) if job.step.kind == SCRIPT else taken(job, channel)
    if job.turns is None:
        return JobRun(job, channel)
    from pipeprof.profiles.worker.turns import TurnRun

    return TurnRun(job, channel)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sample; the worker's own exit status is 0 also when the pipeline raised."""
    read_fd, write_fd, stacks_fd = (int(text) for text in (argv or sys.argv[1:]))
    channel = WorkerEnd.open(read_fd, write_fd)
    WorkerEnd.in_worker = True
    job = channel.receive_job()
    die_with_guard()
    raise_oom_score()
    settle_temporary_folder()
    if job.at_ref is not None:
        enter_ref(job.at_ref)
    os.set_inheritable(stacks_fd, False)
    faulthandler.enable(stacks_fd)
    faulthandler.register(signal.SIGUSR1, stacks_fd, all_threads=True, chain=False)
    look_like_a_script(job.user_files[0])
    if job.texts:
        read_instead(job.texts)
    sample = _run_of(job, channel)
    channel.answer = sample.answer
    ImportGuard(lambda error: _end(channel, sample, error)).begin()
    try:
        channel.listen()
        sample.run()
    except BaseException as error:
        # BaseException: sys.exit() in the user's code must be reported with its place as well.
        _end(channel, sample, error)
    _end(channel, sample)
    return 0


def _end(channel: WorkerEnd, sample: JobRun, error: BaseException | None = None) -> None:
    """End the process after what is left to tell; also from a thread of the user's code."""
    if channel.is_copy and sample.job.kind == "script":
        # A child that the script forked ends as it does without pipeprof.
        if error is not None:
            raise error
        return
    if error is not None:
        if channel.is_copy:
            # One that a function forked.
            os._exit(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1)
        with contextlib.suppress(Exception):
            sample.send_measured()
        channel.send(error=describe_error(error, sample))
    channel.send(done=True)
    if sample.exits_normally:
        # A script that came to its own end: its handlers run as without pipeprof.
        return
    # TensorFlow's threads may still be busy with the pipeline; tearing them down is not part of any measurement.
    end_at_once()
