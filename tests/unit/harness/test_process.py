"""What the worker printed, its pipes, and what watching it costs; the process itself is a stand-in."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from unit.worker.fakes import facts

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.harness import process as processes
from pipeprof.profiles.harness.process import OUTPUT_BYTES, WorkerOutput, WorkerProcess
from pipeprof.profiles.protocol.options import Options, in_worker
from pipeprof.profiles.protocol.turns import TurnsJob

LOG = "2026-01-01 10:00:00.123456: W tensorflow/core/framework/op_kernel.cc:1857] OP_REQUIRES failed: UNKNOWN: bad"
INFO = "2026-01-01 10:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow binary is"


def printed(*chunks: str) -> WorkerOutput:
    output = WorkerOutput()
    for chunk in chunks:
        output.add(chunk.encode())
    return output


def test_chunks_are_joined_whatever_they_cut_through():
    output = WorkerOutput()
    for byte in "grün\n".encode():
        output.add(bytes([byte]))
    output.add(b"\xff\xfe ok")
    assert output.text() == "grün\n\ufffd\ufffd ok"


def test_only_the_end_of_much_output_is_kept():
    output = WorkerOutput()
    for n in range(20_000):
        output.add(f"line {n:06}\n".encode())
    text = output.text()
    assert OUTPUT_BYTES - 12 < len(text) <= OUTPUT_BYTES
    assert text.endswith("line 019999\n")
    assert len(output._chunks) * 12 <= OUTPUT_BYTES
    assert printed("x" * 10 + "y" * OUTPUT_BYTES).text() == "y" * OUTPUT_BYTES


JOB = Options(ParsedTarget("spec", Path("a.yaml")), ["a.yaml"])


COPIED = (
    "Traceback (most recent call last):\n\n"
    '  File "/x/script_ops.py", line 269, in __call__\n    ret = func(*args)\n\n'
    "ValueError: bad\n\n\n\t [[{{node PyFunc}}]]"
)
OWN = 'Traceback (most recent call last):\n  File "mine.py", line 3, in f\n    1 / 0\nZeroDivisionError: oh'


@pytest.mark.parametrize(
    "line",
    [
        INFO,
        LOG,
        f"{LOG}: ValueError: bad\n{COPIED}",
        "E0000 00:00:1700000000.123456    4242 cuda_dnn.cc:8310] Unable to register cuDNN factory",
        "I1119 10:00:00.123456 4242 service.cc:145] XLA service",
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
        "WARNING:tensorflow:From /x/ops.py:7: Print (from ops) is deprecated and will be removed after 2018-08-20.\n"
        "Instructions for updating:\nUse tf.print instead of tf.Print.",
        "W1119 10:00:00.123456 4242 deprecation.py:50] From a.py:1: b is deprecated.\nInstructions for updating:\nc",
    ],
)
def test_tensorflows_own_lines_are_left_out(line):
    assert printed(f"before\n{line}\nafter\n").users() == "before\nafter"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", None),
        ("\n\n \n", None),
        (f"{INFO}\n{LOG}\n", None),
        (f"{INFO}\nstarting\n{OWN}\n", f"starting\n{OWN}"),
        # An empty line of the user's swallows nothing.
        *(
            (f"total:\n\n{after}\nend\n", f"total:\n{after}\nend")
            for after in ("  indented", "Traceback (most recent call last):", "ValueError: mine", "[[1, 2]]")
        ),
        # Lines are kept as a terminal would leave them.
        (
            "\rloading 1/3\rloading 3/3\r\nnext\x0cpage\n\x1b[31mred\x1b[0m\x1b]0;title\x07 text\nlast",
            "loading 3/3\nnext\x0cpage\nred text\nlast",
        ),
    ],
)
def test_what_the_user_printed_stays(said, shown):
    assert printed(said).users() == shown


def test_the_users_output_is_bounded_to_its_beginning_which_outlives_a_flood_and_its_end():
    lines = printed("".join(f"{n}\n" for n in range(500))).users().splitlines()
    assert lines == [*map(str, range(25)), "… more was printed …", *map(str, range(450, 500))]
    assert len(printed("x" * 30_000).users()) < 8_000
    users = printed("first\n", *[f"{n:06}\n" for n in range(30_000)], "last\n").users()
    assert users.startswith("first\n000000\n")
    assert users.endswith("\nlast")
    assert len(users.splitlines()) <= 101


class FakeProcess:
    """A child that only exists as descriptors."""

    def __init__(self, command, streams, descriptors, variables):
        del command
        self.variables = variables
        self.pid = 4242
        self.status = None
        self.waited = 0
        self.inherited = [os.dup(descriptor) for descriptor in descriptors]
        self.out = os.dup(streams[1])

    def poll(self):
        return self.status

    def wait(self):
        self.waited += 1
        return self.status

    def close(self):
        for descriptor in (*self.inherited, self.out):
            with contextlib.suppress(OSError):
                os.close(descriptor)


class FakeFamily:
    """Notes which process it starts, and that it was ended."""

    def __init__(self, error=None):
        self.started, self.ended = [], []
        self._error = error

    def start(self, *how):
        if self._error is not None:
            raise self._error
        self.started.append(FakeProcess(*how))
        return self.started[-1]

    def end(self, pid):
        self.ended.append(pid)


@pytest.fixture
def started():
    """A worker process with its stand-in: commands, messages and stacks as the child has them."""
    family = FakeFamily()
    worker = WorkerProcess(JOB, family)
    yield worker, family.started[0]
    worker.close()
    family.started[0].close()


def test_another_program_in_the_workers_process_is_seen(started, monkeypatch):
    """Its own command line may come late, and is read with the first message."""
    worker, child = started
    own, other = "python -u -c worker", "sleep 3600"
    now = [own]
    monkeypatch.setattr(worker, "_command_line", None)
    monkeypatch.setattr(processes.procfs, "command_line", lambda _pid: now[0])
    _, messages, _ = child.inherited
    assert worker.read_messages() == []
    os.write(messages, b'{"done": true}\n')
    assert len(worker.read_messages()) == 1
    for command, successor in ((own, None), (other, other), (None, None)):
        now[:] = [command]
        assert worker.successor == successor


def test_the_job_is_the_first_command(started):
    worker, child = started
    commands, _, _ = child.inherited
    assert in_worker(json.loads(os.read(commands, 1000))) == JOB
    assert worker.send("look")
    assert json.loads(os.read(commands, 1000)) == {"c": "look"}


def test_one_that_prints_faster_than_it_is_read_does_not_keep_the_loop(started, monkeypatch):
    worker, _ = started
    reads = []

    def endless(_descriptor, size):
        reads.append(size)
        assert len(reads) < 10_000
        return b"y" * size

    monkeypatch.setattr(processes.os, "read", lambda fd, size: endless(fd, size) if fd == worker.printed else b"")
    assert worker.read_output() is True
    assert len(reads) == processes.MOST_CHUNKS


def test_variables_of_an_edit_are_set_before_the_worker_starts():
    family = FakeFamily()
    job = replace(JOB, turns=TurnsJob(environment=[("MALLOC_ARENA_MAX", "2")]))
    WorkerProcess(job, family).close()
    family.started[0].close()
    assert family.started[0].variables == {"MALLOC_ARENA_MAX": "2"}


def test_messages_come_as_they_are_sent_and_end_with_none(started):
    worker, child = started
    _, messages, _ = child.inherited
    assert worker.read_messages() == []
    os.write(messages, b'{}\n{"do')
    assert worker.read_messages() == [{}]
    os.write(messages, b'ne":true}\n{"done":"cut')
    os.close(messages)
    assert worker.read_messages() == [{"done": True}]
    assert worker.read_messages() is None


def test_output_and_stacks_are_kept_apart(started):
    worker, child = started
    _, _, stacks = child.inherited
    os.write(child.out, b"hello\n")
    os.write(stacks, b"Current thread\n")
    assert worker.read_output() is True
    os.write(child.out, b"bye\n")
    os.close(child.out)
    assert worker.read_output() is False
    assert worker.output.text() == "hello\nbye\n"
    assert worker.stacks.text() == "Current thread\n"


def test_stacks_are_asked_for_by_signal_and_a_dead_worker_has_none(started, monkeypatch):
    worker, _ = started
    signals = []
    monkeypatch.setattr(processes.os, "kill", lambda pid, number: signals.append((pid, number)))
    worker.dump_stacks()
    assert signals == [(4242, signal.SIGUSR1)]

    def gone(_pid, _number):
        raise ProcessLookupError

    monkeypatch.setattr(processes.os, "kill", gone)
    worker.dump_stacks()


def test_ending_kills_the_family_and_waits(started):
    worker, child = started
    family = worker._family
    assert worker.returncode is None
    child.status = -9
    assert worker.end() == -9
    assert (family.ended, child.waited, worker.returncode) == ([4242], 1, -9)


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), OSError, "Too many open files"),
        (PermissionError(errno.EPERM, "Operation not permitted"), PipeprofError, "could not be started: Operation not"),
    ],
)
def test_a_worker_that_cannot_be_started_leaves_no_pipe_open(error, raised, words):
    before = sorted(Path("/dev/fd").iterdir())
    with pytest.raises(raised, match=words):
        WorkerProcess(JOB, FakeFamily(error))
    assert sorted(Path("/dev/fd").iterdir()) == before


def test_a_worker_that_reads_nothing_never_holds_up_its_parent(started):
    worker, _ = started
    while worker.send({"c": "x" * 5000}):
        continue
    assert worker.read_messages() == []


@pytest.mark.parametrize(("soaks", "cores"), [(False, 0.05), (True, 0.2)])
def test_what_is_read_once_after_the_window_is_no_part_of_it(monkeypatch, soaks, cores):
    at = SimpleNamespace(now=5.0, cpu=0.0)

    def later(seconds: float, cpu: float) -> None:
        at.now, at.cpu = at.now + seconds, at.cpu + cpu

    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: at.now))
    monkeypatch.setattr(processes, "bytes_read", lambda _pid: None)
    monkeypatch.setattr(processes, "uncounted", lambda _pid: frozenset())
    made = facts()
    probe = SimpleNamespace(start=list, stop=lambda: later(5.0, 3.0))
    window = processes.Outside(made, 1, probe, lambda: at.cpu)
    if soaks:
        window.begin_watching()
    later(5.0, 2.5)
    assert not window.is_open
    window.begin()
    assert window.is_open
    later(10.0, 0.5)
    window.end()
    assert not window.is_open
    assert made.sampler_cores == pytest.approx(cores)
