"""Processes of a service: whose cores they have, and that one has ended."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pipeprof.profiles.worker.services import LocalService, wait_for_end


@pytest.mark.parametrize(
    ("number", "how", "said"),
    [
        (
            1,
            signal.SIGKILL,
            "worker 1 of 2 of the local tf.data service was killed (SIGKILL): from outside, or by the kernel for lack "
            "of memory",
        ),
        (2, signal.SIGTERM, "worker 2 of 2 of the local tf.data service was ended by SIGTERM"),
        (0, None, "the dispatcher of the local tf.data service ended with exit status 1"),
    ],
)
def test_the_end_of_a_process_is_named(number: int, how: signal.Signals | None, said: str) -> None:
    waits = [sys.executable, "-S", "-c", "raise SystemExit(len(input()))"]
    started = [subprocess.Popen(waits, stdin=subprocess.PIPE) for _ in range(3)]
    one = started[number]
    assert one.stdin is not None
    if how is not None:
        one.send_signal(how)
    else:
        one.stdin.write(b"x\n")
        one.stdin.flush()
    try:
        assert wait_for_end(LocalService("localhost:1", tuple(process.pid for process in started))) == said
    finally:
        for process in started:
            process.kill()
            process.communicate()
