"""The worker's memory: peaks of phases, glibc's heap, arrays of sources; and the log of TensorFlow's model."""

from __future__ import annotations

import ctypes
import gc
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from unit.worker.fakes import MIB, FakeChannel, FakeTime

from pipeprof.profiles.document.shared import Phase
from pipeprof.profiles.host import procfs
from pipeprof.profiles.worker import memory_log
from pipeprof.profiles.worker import memory_log as models
from pipeprof.profiles.worker.memory_log import MOST, ModelLog, Phases, array_bytes, heap


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
    return [phase for (phase,) in channel.of("phases") if phase.seconds is not None]


def test_a_phase_is_announced_and_reported(proc, channel, monkeypatch):
    time = FakeTime()
    monkeypatch.setattr(memory_log, "time", time)
    proc.holds(300)
    proc.allow_reset()
    phases = Phases(channel, proc.folder)
    with phases.enter("measure"):
        assert channel.sent == [{"phases": [Phase(name="measure")]}]
        proc.holds(300)
        proc.holds(200)
        time.pass_ms(2500)
        phases.note = "10 s"
    phase = Phase(name="measure", seconds=2.5, peak_rss_bytes=300 * MIB, end_rss_bytes=200 * MIB, note="10 s")
    assert channel.sent[1:] == [{"phases": [phase]}]
    assert (proc.folder / "self/clear_refs").read_text() == "5"
    assert channel.warned() == []


@pytest.mark.parametrize("how", ["forbidden", "missing"])
def test_where_it_cannot_only_a_mark_that_rose_is_exact_and_that_is_said_once(proc, channel, how):
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
    (warning,) = channel.warned()
    assert warning.code == "no-clear-refs"
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


def test_the_heap_in_use_grows_with_what_is_allocated() -> None:
    before = heap()
    if before is None:
        return
    kept = [ctypes.create_string_buffer(50_000) for _ in range(200)]
    after = heap()
    assert after is not None
    assert 9_000_000 < after[0] - before[0] < 30_000_000
    assert kept


class Warns:
    """Warns when its class is read, as some objects of libraries do."""

    read = 0

    @property
    def __class__(self):
        type(self).read += 1
        return type(self)


def test_no_object_is_asked_for_its_class():
    held = [Warns() for _ in range(2000)]
    array_bytes([("float64", 4_000_000)])
    assert Warns.read == 0
    assert len(held) == 2000


def test_only_arrays_of_a_source_count_and_views_as_the_whole_of_them():
    held = [np.zeros(500_000), np.zeros(400_000, np.float32), np.zeros((2, 300_000))]
    views = [held[2][1], held[0].reshape(-1)]
    assert array_bytes([("float64", 4_000_000), ("float64", 2_400_000)]) == 4_000_000 + 4_800_000
    # A dictionary that holds nothing else is not tracked by the garbage collector.
    held.append(type("Context", (), {})())
    held[-1].arrays = {"table": np.zeros(700_000)}
    assert not gc.is_tracked(held[-1].arrays)
    assert array_bytes([("float64", 5_600_000)]) == 5_600_000
    assert array_bytes([]) == 0
    assert len(views) == 2


@dataclass
class Shot:
    """A snapshot: which iterator, when, and the kinds of its inputs."""

    of: int
    at: int
    kinds: tuple[str, ...]
    tuned: tuple[tuple[str, str, float], ...]

    @property
    def proto(self) -> SimpleNamespace:
        return SimpleNamespace(nodes={n: SimpleNamespace(name=name) for n, name in enumerate(self.kinds)})

    def parameters(self) -> tuple[tuple[str, str, float], ...]:
        return self.tuned

    def to_dict(self) -> dict[str, Any]:
        return {"of": self.of, "at": self.at, "kinds": len(set(self.kinds))}


class Scene:
    """A feed of numbered iterators, and a camera that says when each snapshot was taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.iterator = self.at = self.steps = 0
        self.kinds: tuple[str, ...] = ("Batch", "Map")
        self.tuned: tuple[tuple[str, str, float], ...] = ()
        self.blind = False
        self.log = ModelLog()
        monkeypatch.setattr(models, "take_snapshot", self._shoot)

    def _shoot(self, iterator: int) -> Shot | None:
        assert iterator == self.iterator
        self.at += 1
        return None if self.blind else Shot(iterator, self.at, self.kinds, self.tuned)

    def look(self, steps: int = 1, kinds: tuple[str, ...] | None = None) -> int:
        self.steps += steps
        self.kinds = kinds or self.kinds
        self.log.observe(self, self.steps)
        return self.at

    def restart(self) -> None:
        self.log.restart(self, self.steps)
        self.iterator += 1

    def segments(self) -> list[dict[str, Any]]:
        found = self.log.segments()
        for one in found:
            first, last = one.first, one.last
            if "of" in first:
                assert first["of"] == last["of"]
                assert first["at"] < last["at"]
            else:
                assert first["nodes"] == []
        return found


@pytest.fixture
def scene(monkeypatch):
    return Scene(monkeypatch)


def moments(segments: list[dict[str, Any]]) -> list[tuple[int | None, int, int]]:
    return [(one.first.get("at"), one.last["at"], one.batches) for one in segments]


FULL = ("Batch", "Map", "TFRecord")


def test_looks_at_one_iterator_follow_each_other(scene):
    scene.log.begin(scene)
    for _ in range(3):
        scene.look(10)
    assert moments(scene.segments()) == [(1, 2, 10), (2, 3, 10), (3, 4, 10)]


def test_no_segment_spans_two_iterators(scene):
    scene.log.begin(scene)
    scene.look(10)
    scene.look(5)
    scene.restart()
    scene.look(7)
    segments = scene.segments()
    assert {(one.first.get("of"), one.last["of"]) for one in segments} == {(0, 0), (None, 1)}
    assert sum(one.batches for one in segments) == scene.steps


def test_an_iterator_that_began_between_two_looks_has_all_of_its_counts(scene):
    scene.log.begin(scene)
    scene.look(10)
    scene.iterator += 1
    scene.log.follow(14)
    scene.look(10)
    assert moments(scene.segments()) == [(1, 2, 10), (None, 3, 6)]


@pytest.mark.parametrize(
    ("epochs", "looks"),
    [*((1, looks) for looks in (1, MOST - 1, MOST, MOST + 1, 1000)), *((epochs, 9) for epochs in (2, 20, 59))],
)
def test_the_number_kept_is_bounded_and_no_batch_is_lost(scene, epochs, looks):
    scene.log.begin(scene)
    for epoch in range(epochs):
        if epoch:
            scene.restart()
        for _ in range(looks):
            scene.look(3)
    segments = scene.segments()
    assert len(segments) <= (MOST + 3 if epochs == 1 else 5 * MOST)
    assert sum(one.batches for one in segments) == 3 * looks * epochs
    assert segments[0].first["at"] == 1
    assert segments[-1].last["at"] == scene.at


def test_thousands_of_epochs_are_kept_in_part(scene):
    scene.log.begin(scene)
    for _ in range(3000):
        scene.look(2, FULL)
        scene.look(2, ("Batch",))
        scene.restart()
    assert 10 < len(scene.segments()) <= 5 * MOST
    assert len(scene.log._stretches) <= MOST


def test_a_pipeline_without_a_model_has_no_segments(scene):
    scene.blind = True
    scene.log.begin(scene)
    scene.look()
    scene.restart()
    scene.look()
    assert scene.segments() == []
    assert scene.log.parameters(scene) is None
    assert scene.log.look(scene) is None


def test_what_autotune_has_set_and_the_model_now_are_read_off(scene):
    assert scene.log.parameters(None) is scene.log.parameters(scene) is None
    scene.tuned = (("Map", "parallelism", 4.0),)
    assert scene.log.parameters(scene) == (("Map", "parallelism", 4.0),)
    assert scene.log.look(None) is None
    assert scene.log.look(scene) == {"of": 0, "at": 3, "kinds": 2}


@pytest.mark.parametrize("kinds", [[FULL] * 4, [FULL, ("Batch", "Map")]])
def test_the_fullest_look_of_each_iterator_outlives_the_thinning(scene, kinds):
    scene.log.begin(scene)
    fullest = []
    for full in kinds:
        for _ in range(10):
            scene.look(1, full)
        fullest.append(scene.at)
        for _ in range(40):
            scene.look(1, ("Batch",))
        scene.restart()
    assert set(fullest) <= {one.last["at"] for one in scene.segments()}
