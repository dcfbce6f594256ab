"""Processes of a service: whose cores they have, and that one has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.worker import local_service as module
from pipeprof.profiles.worker.local_service import LocalService, cores_of, start_local_service, wait_for_end


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


def test_workers_share_the_cores_in_turns() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    assert cores_of(0, 1) == cores_of(len(allowed), 1) == {allowed[0]}
    assert cores_of(1, len(allowed)) == set(allowed)
    assert cores_of(3, None) is None


def serving_nothing() -> Any:
    """A module like tensorflow whose servers do nothing."""
    made = SimpleNamespace(target="grpc://localhost:1")
    names = ("DispatchServer", "DispatcherConfig", "WorkerServer", "WorkerConfig")
    service = SimpleNamespace(**dict.fromkeys(names, lambda *_config, **_more: made))
    experimental = SimpleNamespace(service=service, Trace=lambda _name: nullcontext())
    return SimpleNamespace(**dict.fromkeys(("data", "profiler"), SimpleNamespace(experimental=experimental)))


@pytest.mark.parametrize("yields", [True, False])
def test_workers_leave_their_cores_to_others_only_where_that_is_asked(
    monkeypatch: pytest.MonkeyPatch, *, yields: bool
) -> None:
    monkeypatch.setattr(module, "start_profiler", lambda _tf: 1)
    service = start_local_service(serving_nothing(), 1, 1, yields=yields)
    try:
        dispatcher, worker = map(os.sched_getscheduler, service.pids)
    finally:
        for pid in service.pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert (dispatcher, worker == os.SCHED_IDLE) == (os.sched_getscheduler(0), yields)
