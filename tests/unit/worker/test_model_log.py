"""Which snapshots of TensorFlow's model are kept, and how they pair up into segments."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.worker import memory_log as models
from pipeprof.profiles.worker.memory_log import MOST, ModelLog


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
    assert len(scene.log._kept) <= 5 * MOST


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
