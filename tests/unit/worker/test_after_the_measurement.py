"""What is looked at after a measurement, in which order."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.protocol.messages import Trace
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.worker import sample


class Channel:
    def __init__(self):
        self.sent = []
        self.stop = SimpleNamespace(is_set=lambda: False)

    def send(self, **changes):
        self.sent += changes

    def warn(self, code, _text):
        self.sent.append(code)


@pytest.fixture
def traced(monkeypatch):
    """What a sample does after its measurement."""

    def run(failures=0):
        done = []
        monkeypatch.setattr(sample, "replay", lambda *_args: done.append("replay"))
        failing = iter(range(failures))

        def trace(_self):
            done.append("trace")
            if next(failing, None) is not None:
                raise RuntimeError("by chance")
            return Trace()

        monkeypatch.setattr(sample.JobRun, "_run_trace", trace)
        channel = Channel()
        one = sample.JobRun(Options(ParsedTarget("spec", Path("a.yaml")), []), channel)
        one._describe = lambda: done.append("graphs")
        one._measure_extras(None)
        return done, [name for name in channel.sent if name != "phases"]

    return run


def test_the_trace_comes_last(traced):
    assert traced() == (["graphs", "replay", "trace"], ["trace_ends_in", "trace"])


def test_a_trace_that_fails_is_a_warning(traced):
    assert traced(failures=1) == (["graphs", "replay", "trace"], ["trace_ends_in", "no-trace"])
