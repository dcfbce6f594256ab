"""After a measurement with evicted files: what is looked at while they are still on the disk, and what in memory."""

from types import SimpleNamespace

import pytest

from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.messages import PhaseChanged, Trace, TraceBegan, Warmed, Warned
from pipeprof.profiles.worker import sample
from pipeprof.profiles.worker.steps import headspace


class Channel:
    def __init__(self):
        self.sent = []
        self.stop = SimpleNamespace(is_set=lambda: False)

    def send(self, message):
        self.sent.append(message)


@pytest.fixture
def traced(monkeypatch):
    """What a sample does after its measurement, by the files it was told to read into memory."""

    def run(warm, failures=0):
        done = []
        monkeypatch.setattr(sample, "with_files_in_memory", lambda *_args: done.append("read") or Warmed(1.0, 3, None))
        monkeypatch.setattr(sample, "replay", lambda *_args: done.append("replay"))
        failing = iter(range(failures))

        def trace(_self):
            done.append("trace")
            if next(failing, None) is not None:
                raise RuntimeError("by chance")
            return Trace()

        monkeypatch.setattr(sample.JobRun, "_run_trace", trace)
        channel = Channel()
        one = sample.JobRun(Job("spec", "a.yaml", [], warm=warm), channel)
        one.feed = SimpleNamespace(restart=lambda: done.append("restart"))
        one._memory = SimpleNamespace(rest=lambda _feed: done.append("rest"))
        one._describe = lambda: done.append("graphs")
        one._measure_extras(None)
        return done, [type(message) for message in channel.sent if not isinstance(message, PhaseChanged)]

    return run


def test_threads_are_seen_before_the_files_are_read_into_memory(traced):
    assert traced(["a"]) == (["rest", "graphs", "replay", "trace", "read"], [TraceBegan, Trace, Warmed])


def test_the_trace_comes_last(traced):
    assert traced([]) == (["rest", "graphs", "replay", "trace"], [TraceBegan, Trace])


def test_a_trace_that_fails_is_tried_once_more(traced):
    done, sent = traced([], failures=1)
    assert done[3:] == ["trace", "restart", "trace"]
    assert sent == [TraceBegan, TraceBegan, Trace]
    done, sent = traced([], failures=2)
    assert done[3:] == ["trace", "restart", "trace"]
    assert sent == [TraceBegan, TraceBegan, Warned]


def test_files_that_do_not_fit_are_not_compared_and_the_report_says_so(tmp_path):
    (tmp_path / "a").write_bytes(bytes(1000))
    told = headspace.with_files_in_memory(None, None, lambda: False, [str(tmp_path / "a")], room=1500)
    assert isinstance(told, Warned)
    assert told.code == "cold"
    assert "half of the free memory" in told.text


def test_files_that_fit_are_read_and_the_same_iterator_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(headspace, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(headspace, "SECONDS", 0.0)
    (tmp_path / "a").write_bytes(bytes(1000))
    feed = headspace.Feed(range(10**9))
    told = headspace.with_files_in_memory(feed, None, lambda: False, [str(tmp_path / "a")], room=3000)
    assert isinstance(told, Warmed)
    assert told.steps >= headspace.AT_LEAST
    assert feed.next() == told.steps
