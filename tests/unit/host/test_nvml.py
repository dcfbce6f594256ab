"""NVML by a module with the same public functions: what is read, what is joined, and what is said to differ."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.document.shared import GpuUse
from pipeprof.profiles.host import nvml
from pipeprof.profiles.host.nvml import GpuWatch, apart, joined, opened, visible


class FakeNvml:
    """``pynvml`` of nvidia-ml-py with a few GPUs; `fails` names functions that raise."""

    def __init__(self, count: int = 2, fails: tuple[str, ...] = ()) -> None:
        self.count, self.fails, self.reads, self.open = count, fails, 0, 0

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml") and name in object.__getattribute__(self, "fails"):
            raise RuntimeError("NVMLError_NotSupported")
        return object.__getattribute__(self, name)

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return self.count

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetName(self, number: int) -> bytes | str:
        return b"NVIDIA Old" if number else "NVIDIA New"

    def nvmlDeviceGetUUID(self, number: int) -> str:
        return f"GPU-{number}abc"

    def nvmlDeviceGetUtilizationRates(self, number: int) -> SimpleNamespace:
        self.reads += 1
        return SimpleNamespace(gpu=(40 if self.reads % 2 else 60) if number == 0 else 0, memory=1)

    def nvmlDeviceGetMemoryInfo(self, number: int) -> SimpleNamespace:
        return SimpleNamespace(used=10**9 * (number + 1) + self.reads)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(count: int = 2, fails: tuple[str, ...] = ()) -> FakeNvml:
        made = FakeNvml(count, fails)
        monkeypatch.setitem(sys.modules, "pynvml", made)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        return made

    return make


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The rows after a watch of some seconds on a clock that only readings move on."""

    def watch(seconds: float) -> list[GpuUse]:
        at = SimpleNamespace(now=100.0)
        monkeypatch.setattr(nvml, "time", SimpleNamespace(monotonic=lambda: at.now))
        over = threading.Event()

        def wait(_event: threading.Event, pause: float) -> bool:
            if at.now + pause > 100.0 + seconds:
                over.set()
                return True
            at.now += pause
            return False

        one = GpuWatch(wait)
        one.start()
        assert over.wait(60)
        return one.stop()

    return watch


def test_each_gpu_has_a_row_with_means_over_the_seconds(fake: Any, watched: Any) -> None:
    module = fake(count=1)
    [row] = watched(4.0)
    assert row == GpuUse(name="GPU 0", model="NVIDIA New", seconds=4.0, utilisation=0.5, memory_bytes=10**9 + 8)
    assert module.open == 0
    fake(count=3)
    assert [row.name for row in watched(3.0)] == ["GPU 0", "GPU 1", "GPU 2"]


def test_what_a_gpu_does_not_count_is_not_known(fake: Any, watched: Any) -> None:
    fake(count=1, fails=("nvmlDeviceGetMemoryInfo",))
    [row] = watched(3.0)
    assert (row.utilisation, row.memory_bytes) == (0.5, None)
    # A part of a GPU has no utilisation.
    for fails in ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetCount"):
        fake(count=1, fails=(fails,))
        assert watched(3.0) == []
    fake()
    assert watched(2.5) == []


@pytest.mark.parametrize("module", [None, FakeNvml(fails=("nvmlInit",))])
def test_without_the_module_or_a_driver_nothing_is_read(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", module)
    with opened() as found:
        assert found is None
    one = GpuWatch()
    assert one.stop() == []
    one.start()
    assert one.stop() == []


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [(None, [0, 1, 2]), ("2,0", [2, 0]), ("GPU-1abc", [1]), ("1,7,0", [1]), ("", []), ("MIG-1", []), ("-1", [])],
)
def test_gpus_are_in_the_order_in_which_cuda_numbers_them(wanted: str | None, numbers: list[int]) -> None:
    environ = {} if wanted is None else {"CUDA_VISIBLE_DEVICES": wanted}
    assert visible(FakeNvml(3), [0, 1, 2], environ) == numbers


def test_rows_are_those_of_the_trace_with_what_nvml_saw() -> None:
    traced, seen = GpuUse(name="GPU 1", idle_share=0.4), [GpuUse(name=f"GPU {n}", utilisation=0.2 * n) for n in (0, 1)]
    assert joined([traced], seen) == [GpuUse(name="GPU 1", idle_share=0.4, utilisation=0.2)]
    assert joined([traced], []) == [traced]
    assert joined([], seen) == seen


@pytest.mark.parametrize(
    ("utilisation", "idle", "is_apart"),
    [(0.9, 0.4, True), (0.3, 0.3, True), (0.75, 0.5, False), (0.4, 0.5, False), (None, 0.9, False), (0.9, None, False)],
)
def test_a_difference_of_tens_of_points_is_said(utilisation: float | None, idle: float | None, is_apart: bool) -> None:
    assert apart(GpuUse(name="GPU 0", utilisation=utilisation, idle_share=idle)) is is_apart
