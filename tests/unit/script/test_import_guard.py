"""Which loops over a dataset count as a training that an import starts: made-up datasets, no TensorFlow."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from pipeprof.pipelines.target.running import guard_imports, importing
from pipeprof.profiles.worker.script.import_guard import FEW_BATCHES, MOST_BATCHES, ImportGuard, TrainsAtImportError

SECOND = 1_000_000_000


class Stopped(BaseException):
    """Stands for the end of the process."""


class Dataset:
    def __init__(self, guard: ImportGuard) -> None:
        self.guard = guard


class _TakeDataset(Dataset):
    pass


class Iterator:
    def __init__(self, dataset: Dataset) -> None:
        self.guard = dataset.guard
        self.guard.iterator_made(dataset, self, 0)

    def __next__(self) -> int:
        self.guard.asked(self)(self.guard._clock())
        return 1


class World:
    def __init__(self) -> None:
        self.now = 0
        self.error: TrainsAtImportError | None = None
        self.guard = ImportGuard(self.stop, lambda: self.now)

    def stop(self, error: TrainsAtImportError) -> None:
        self.error = error
        raise Stopped

    @property
    def said(self) -> str:
        return str(self.error)


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
    ("epochs", "batches", "seconds", "stops"),
    [
        (1, MOST_BATCHES, 0, False),
        (1, MOST_BATCHES + 1, 0, True),
        # The batches of all epochs count together.
        (3, 30, 0, False),
        (4, 30, 0, True),
        (1, FEW_BATCHES, 60, False),
        (1, FEW_BATCHES + 1, 1, True),
    ],
)
def test_many_batches_and_a_slow_loop_are_a_training(
    world: World, epochs: int, batches: int, seconds: int, *, stops: bool
) -> None:
    dataset = Dataset(world.guard)
    with pytest.raises(Stopped) if stops else nullcontext():
        for _ in range(epochs):
            iterator = Iterator(dataset)
            for _ in range(batches):
                next(iterator)
                world.now += seconds * SECOND
    if stops:
        how_long = "for more than 2 s" if seconds else "more than 100 batches"
        assert f"loops over a dataset when the file is imported ({how_long})" in world.said


def test_take_may_be_slow_but_not_long(world: World) -> None:
    iterator = Iterator(_TakeDataset(world.guard))
    for _ in range(MOST_BATCHES):
        next(iterator)
        world.now += SECOND
    with pytest.raises(Stopped):
        next(iterator)


def test_adapt_goes_on(world: World) -> None:
    world.guard.entered("adapt")
    iterator = Iterator(Dataset(world.guard))
    world.guard.left("adapt")
    for _ in range(10 * MOST_BATCHES):
        next(iterator)
        world.now += SECOND


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
