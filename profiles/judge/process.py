"""One measured process of a pipeline: what its turns gave, and the value of each metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import geometric_mean

from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.protocol.turns import Built, TurnEnded


@dataclass(frozen=True)
class Process:
    """A process from its start to its end.

    Attributes:
        built: What it said once it had built its pipeline.
        blocks: Its measured turns, in their order; at least one.
        graphs: Its graphs, with the model as it was in all blocks; None where stages are not timed.
    """

    built: Built
    blocks: tuple[TurnEnded, ...]
    graphs: Graphs | None = None

    def values(self, elements_per_batch: float | None) -> dict[str, float]:
        """The values of all metrics that it has, by name.

        Args:
            elements_per_batch: Of its pipeline; None where that is not known.
        """
        found = {name: read(self, elements_per_batch) for name, read in _READ.items()}
        return {name: value for name, value in found.items() if value is not None}

    def elements_per_batch(self) -> float | None:
        """Elements of its first batches, on average; None where their tensors share no first dimension."""
        counts = [len(batch.rows) for batch in self.built.batches]
        return sum(counts) / len(counts) if counts and all(counts) else None

    def total(self, name: str) -> float | None:
        """The sum of a figure over all blocks; None where one of them lacks it."""
        given = [getattr(block, name) for block in self.blocks]
        return None if any(value is None for value in given) else float(sum(given))

    def per_step(self, name: str) -> float | None:
        """A figure for each step; None where a block lacks it."""
        steps, value = self.total("steps"), self.total(name)
        return value / steps if steps and value is not None else None


def _step_ms(process: Process, _elements: float | None) -> float | None:
    """The geometric mean of the blocks.

    The ratio of two processes is then the mean of the ratios of their blocks, turn by turn: what slows the machine for
    a while slows the blocks of one turn alike and leaves their ratio as it is. A step that is slow now and then counts.
    """
    rates = [block.seconds / block.steps for block in process.blocks if block.steps and block.seconds > 0]
    return 1e3 * geometric_mean(rates) if rates else None


def _elements_per_second(process: Process, elements: float | None) -> float | None:
    step_ms = _step_ms(process, elements)
    return 1e3 * elements / step_ms if elements and step_ms else None


def _wait_ms(process: Process, _elements: float | None) -> float | None:
    wait = process.per_step("wait_seconds")
    return 1e3 * wait if wait is not None else None


def _idle_share(process: Process, _elements: float | None) -> float | None:
    wait, seconds = process.total("wait_seconds"), process.total("seconds")
    return min(wait / seconds, 1.0) if wait is not None and seconds else None


def _cpu_ms_per_element(process: Process, elements: float | None) -> float | None:
    cpu = process.per_step("cpu_seconds")
    return 1e3 * cpu / elements if cpu and elements else None


def _peak_bytes(process: Process, _elements: float | None) -> float | None:
    peak = process.blocks[-1].peak_bytes
    return float(peak) if peak else None


def _first_batch_s(process: Process, _elements: float | None) -> float | None:
    return (process.built.build_seconds + process.built.first_seconds) or None


def _disk_bytes_per_element(process: Process, elements: float | None) -> float | None:
    read = process.per_step("read_bytes")
    return read / elements if read is not None and elements else None


_READ: Mapping[str, Callable[[Process, float | None], float | None]] = {
    "step_ms": _step_ms,
    "elements_per_second": _elements_per_second,
    "wait_ms": _wait_ms,
    "idle_share": _idle_share,
    "cpu_ms_per_element": _cpu_ms_per_element,
    "peak_bytes": _peak_bytes,
    "first_batch_s": _first_batch_s,
    "disk_bytes_per_element": _disk_bytes_per_element,
}
