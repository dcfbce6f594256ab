"""The channel: whole and broken lines, closed pipes, and what the worker's end does when the parent is gone."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worker.fakes import in_a_child

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.protocol import channel
from pipeprof.profiles.protocol.channel import HarnessEnd, WorkerEnd, encode
from pipeprof.profiles.protocol.messages import Answer, Warned
from pipeprof.profiles.protocol.options import Options, StepJob, to_worker

FRAME = ErrorFrame("a.py", 3, "f")
DONE = {"done": True}


@pytest.fixture
def killed(monkeypatch):
    """Calls of `os.killpg`."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(channel.os, "killpg", lambda *group: calls.append(group))
    return calls


@pytest.fixture
def pipes():
    """Two pipes: reading and writing end of each."""
    ends = [*os.pipe(), *os.pipe()]
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.fixture
def worker(pipes):
    """A worker's end that reads from the first pipe and writes to the second."""
    return WorkerEnd.open(os.dup(pipes[0]), os.dup(pipes[3]))


def worker_end(said: str) -> tuple[WorkerEnd, io.StringIO]:
    out = io.StringIO()
    return WorkerEnd(io.StringIO(said), out), out


def test_the_job_is_the_first_line():
    job = Options(ParsedTarget("spec", Path("a.yaml")), ["a.yaml"], step=StepJob("simulate", {"every": [[3, 1.5]]}))
    worker, _ = worker_end(encode(to_worker(job)) + '{"c": "stop"}\n')
    assert worker.receive_job() == job
    assert not worker.stop.is_set()


def fails() -> Answer:
    msg = "changed while it was read"
    raise RuntimeError(msg)


@pytest.mark.parametrize(
    ("commands", "answer", "said"),
    [
        pytest.param(["stop"], Answer, [], id="the wish to stop"),
        pytest.param(["look", "look", "stop"], lambda: Answer([FRAME]), [Answer([FRAME])] * 2, id="questions"),
        pytest.param(["look", "stop"], fails, [Answer()], id="an answer that fails is still an answer"),
        pytest.param(["look", "stop"], None, [], id="a question before there is an answer"),
    ],
)
def test_commands_are_followed_until_the_parent_is_gone(killed, commands, answer, said):
    worker, out = worker_end("".join(f'{{"c":"{command}"}}\n' for command in commands))
    if answer is not None:
        worker.answer = answer
    worker._hear()
    assert HarnessEnd(-1).feed(out.getvalue().encode()) == [{"answer": one} for one in said]
    assert worker.stop.is_set()
    assert killed == [(0, signal.SIGKILL)]


@pytest.mark.parametrize("last", ['{"c":"sto', "garbage\n", "[]\n", '{"d": 1}\n', "\n"])
def test_a_line_that_the_parents_death_cut_off_does_not_save_the_group(killed, last):
    worker, _ = worker_end('{"c":"stop"}\n' + last)
    worker._hear()
    assert worker.stop.is_set()
    assert killed == [(0, signal.SIGKILL)]


def test_a_parent_that_no_longer_listens_is_gone(killed, pipes, worker):
    os.write(pipes[1], b'{"c":"look"}\n')
    os.close(pipes[2])
    worker.answer = Answer
    worker._hear()
    assert killed == [(0, signal.SIGKILL)]


def test_the_workers_children_do_not_inherit_its_pipes(pipes):
    read, _, _, write = pipes
    for end in (read, write):
        os.set_inheritable(end, True)
    worker = WorkerEnd.open(read, write)
    assert not worker.stop.is_set()
    assert not os.get_inheritable(read)
    assert not os.get_inheritable(write)


def test_a_forked_copy_says_nothing_and_ends_and_the_first_process_tells_of_it(pipes, worker):
    worker.send()
    assert not worker.is_copy

    def as_copy():
        os._exit(worker.send(done=True) if worker.is_copy else 78)

    assert in_a_child(as_copy) == 0
    worker.send(done=True)
    alive, forked, done = HarnessEnd(pipes[1]).feed(os.read(pipes[2], 10_000))
    assert (alive, done) == ({}, DONE)
    assert forked["warnings"][0].code == "forked"


def test_the_users_own_children_are_no_copies_as_long_as_they_say_nothing(pipes, worker):
    assert in_a_child(lambda: None) == 77
    worker.send(done=True)
    assert HarnessEnd(pipes[1]).feed(os.read(pipes[2], 10_000)) == [DONE]


@pytest.mark.parametrize("reused", [False, True])
def test_closed_pipes_end_the_worker_and_files_with_their_numbers_are_not_written(pipes, tmp_path, reused):
    read, _, _, mine = pipes
    path = tmp_path / "users"

    def close_all():
        worker = WorkerEnd.open(os.dup(read), os.dup(mine))
        os.closerange(3, 256)
        if reused:
            for _ in range(200):
                os.open(path, os.O_WRONLY | os.O_CREAT)
        worker.send(done=True)

    assert in_a_child(close_all) == channel.CHANNEL_LOST
    assert not reused or path.read_bytes() == b""


@pytest.mark.usefixtures("killed")
def test_a_closed_pipe_is_not_taken_for_the_end_of_the_parent(worker, monkeypatch):
    exits = []
    monkeypatch.setattr(channel.os, "_exit", exits.append)
    os.close(worker._reading.fileno())
    worker._hear()
    assert exits == [channel.CHANNEL_LOST]
    with contextlib.suppress(OSError):
        worker._reading.close()


def test_a_worker_that_is_gone_takes_no_commands(pipes):
    read, write, _, _ = pipes
    os.close(read)
    assert not HarnessEnd(write).send("stop")


def test_what_is_no_number_is_an_error_and_what_comes_around_it_stands():
    before, error, after = HarnessEnd(-1).feed(b'{"steps":3}\n{"rate":NaN}\n{"done":true}\n')
    assert (before, after) == ({"steps": 3}, DONE)
    assert error["error"].code == "crashed"


@given(st.lists(st.text(), max_size=5), st.data())
def test_messages_arrive_whole_wherever_the_bytes_are_cut(texts, data):
    out = io.StringIO()
    worker = WorkerEnd(io.StringIO(), out)
    for text in texts:
        worker.warn("x", text)
    text = out.getvalue().encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    end = HarnessEnd(-1)
    got = []
    for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True):
        got += end.feed(text[a:b])
    assert got == [{"warnings": [Warned("x", text)]} for text in texts]


@pytest.mark.parametrize(
    "garbage",
    [b"hello", b"\xff\xfe\x00", b"{", b'{"steps":', b"", b"17", b"[1]", b'{"x": 1}', b'{"done": true, "x": 1}'],
)
def test_garbage_lines_are_dropped(garbage):
    assert HarnessEnd(-1).feed(garbage + b'\n{"done":true}\n') == [DONE]
