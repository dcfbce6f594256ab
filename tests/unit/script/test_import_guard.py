"""Which loops over a dataset count as a training that an import starts: made-up datasets, no TensorFlow."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from pipeprof.pipelines.target.running import guard_imports, importing
from pipeprof.profiles.worker.script.import_guard import MOST_BATCHES, ImportGuard, TrainsAtImportError


class Stopped(BaseException):
    """Stands for the end of the process."""


class Batches:
    """An iterator of a dataset, seen by a guard."""

    def __init__(self, guard: ImportGuard, dataset: object) -> None:
        self.guard = guard
        guard.iterator_made(dataset, self, 0)

    def take(self, count: int) -> None:
        for _ in range(count):
            self.guard.asked(self)(0)


class World:
    def __init__(self) -> None:
        self.said = ""
        self.guard = ImportGuard(self.stop)

    def stop(self, error: TrainsAtImportError) -> None:
        self.said = str(error)
        raise Stopped


class Dataset:
    """Anything that can be referenced."""


@pytest.fixture
def world() -> World:
    return World()


def test_fit_ends_the_import_with_its_line(world: World) -> None:
    with pytest.raises(Stopped):
        world.guard.fit_called(None, None)
    assert "test_import_guard.py:" in world.said
    assert "trains when the file is imported (model.fit): put it under `if __name__ == '__main__':`" in world.said
    assert "`pipeprof run " in world.said


@pytest.mark.parametrize(
    ("epochs", "batches", "stops"),
    [
        (1, MOST_BATCHES, False),
        (1, MOST_BATCHES + 1, True),
        # The batches of all epochs count together.
        (3, 30, False),
        (4, 30, True),
    ],
)
def test_many_batches_are_a_training(world: World, epochs: int, batches: int, *, stops: bool) -> None:
    dataset = Dataset()
    with pytest.raises(Stopped) if stops else nullcontext():
        for _ in range(epochs):
            Batches(world.guard, dataset).take(batches)
    if stops:
        assert "loops over a dataset when the file is imported (more than 100 batches)" in world.said


def test_adapt_goes_on(world: World) -> None:
    world.guard.entered("adapt")
    batches = Batches(world.guard, Dataset())
    world.guard.left("adapt")
    batches.take(10 * MOST_BATCHES)


def test_the_guard_stands_around_the_outermost_import_alone(world: World) -> None:
    seen: list[str] = []
    guarded = world.guard.guarded

    def noted():
        seen.append("guarded")
        return guarded()

    guard_imports(noted)
    try:
        with importing(), importing():
            pass
        with importing():
            pass
    finally:
        guard_imports(guarded)
    assert seen == ["guarded", "guarded"]
