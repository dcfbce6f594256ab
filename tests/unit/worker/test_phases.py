"""Phases with their peaks of memory, on made-up process folders: where the kernel's mark can be reset and where not."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.worker.fakes import MIB, FakeChannel, FakeTime

from pipeprof.profiles.document.shared import Phase
from pipeprof.profiles.host import procfs
from pipeprof.profiles.worker import memory_log
from pipeprof.profiles.worker.memory_log import Phases


class Proc:
    """A made-up /proc with one process, whose high-water mark does what the kernel's would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = folder / "self"
        self._own.mkdir()
        self.mark_mib = 0

    def holds(self, mib: int, *, mark: bool = True) -> None:
        self.mark_mib = max(self.mark_mib, mib)
        self._own.joinpath("statm").write_text(f"999 {mib * MIB // procfs.PAGE_BYTES} 1 1 0 1 0\n")
        if mark:
            self._own.joinpath("status").write_text(f"Name:\tpython\nVmHWM:\t  {self.mark_mib * 1024} kB\n")

    def allow_reset(self) -> None:
        self._own.joinpath("clear_refs").write_text("")

    def forbid_reset(self) -> None:
        """As some containers do: the file is there but nothing can be written to it, whoever one is."""
        self._own.joinpath("clear_refs").mkdir()

    def asked_to_reset(self) -> str:
        return self._own.joinpath("clear_refs").read_text()


@pytest.fixture
def proc(tmp_path):
    return Proc(tmp_path)


@pytest.fixture
def channel():
    return FakeChannel()


def grow(all_phases, proc, name, *sizes, **mark):
    with all_phases.enter(name):
        for size in sizes:
            proc.holds(size, **mark)


def ended(channel) -> list[Phase]:
    """The phases that have ended."""
    return [phase for (phase,) in channel.of("phases") if phase.seconds is not None]


def test_a_phase_is_announced_and_reported(proc, channel, monkeypatch):
    time = FakeTime()
    monkeypatch.setattr(memory_log, "time", time)
    proc.holds(100)
    proc.allow_reset()
    with Phases(channel, proc.folder).enter("measure") as phase:
        assert channel.sent == [{"phases": [Phase(name="measure")]}]
        proc.holds(300)
        proc.holds(200)
        time.pass_ms(2500)
        phase.note = "10 s"
    phase = Phase(name="measure", seconds=2.5, peak_rss_bytes=300 * MIB, end_rss_bytes=200 * MIB, note="10 s")
    assert channel.sent[1:] == [{"phases": [phase]}]
    assert proc.asked_to_reset() == "5"


@pytest.mark.parametrize("how", ["forbidden", "missing"])
def test_where_it_cannot_only_a_mark_that_rose_is_exact(proc, channel, how):
    if how == "forbidden":
        proc.forbid_reset()
    proc.holds(100)
    all_phases = Phases(channel, proc.folder)
    grow(all_phases, proc, "build", 100, 300, 200)
    grow(all_phases, proc, "warmup", 250, 200)
    grow(all_phases, proc, "measure", 300)
    grow(all_phases, proc, "trace", 301)
    peaks = {phase.name: phase.peak_rss_bytes for phase in ended(channel)}
    assert peaks == {"build": 300 * MIB, "warmup": None, "measure": None, "trace": 301 * MIB}


@pytest.mark.parametrize("how", ["forbidden", "missing"])
def test_that_it_cannot_is_said_once(proc, channel, how):
    if how == "forbidden":
        proc.forbid_reset()
    proc.holds(100)
    all_phases = Phases(channel, proc.folder)
    for name in ("import", "data", "build"):
        grow(all_phases, proc, name, 120)
    (warning,) = channel.warned()
    assert warning.code == "no-clear-refs"
    assert "largest samples" in warning.text
    assert "warnings" in channel.sent[0]


def test_where_there_is_no_mark_at_all_nothing_is_claimed(proc, channel):
    proc.holds(100, mark=False)
    grow(Phases(channel, proc.folder), proc, "build", 300, mark=False)
    (end,) = ended(channel)
    assert end.peak_rss_bytes is None
    assert end.end_rss_bytes == 300 * MIB
    assert channel.warned() == []


def test_a_phase_that_raises_did_not_end(proc, channel):
    proc.holds(100)
    proc.allow_reset()
    with pytest.raises(ZeroDivisionError), Phases(channel, proc.folder).enter("build"):
        _ = 1 // 0
    assert channel.sent == [{"phases": [Phase(name="build")]}]


def test_where_the_mark_can_be_reset_it_is_exact_also_when_memory_falls(proc, channel):
    proc.holds(500)
    proc.allow_reset()
    grow(Phases(channel, proc.folder), proc, "warmup", 400)
    assert ended(channel)[0].peak_rss_bytes == 500 * MIB
    assert channel.warned() == []
