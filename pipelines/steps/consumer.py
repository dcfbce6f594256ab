"""What takes a pipeline's batches, whatever kind of step it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Dispatch = Literal["sync"] | int
"""How many steps the host may run ahead of the device, or ``sync``."""


@dataclass(frozen=True)
class StepFacts:
    """What is known of a step and of the batches that it has had.

    Attributes:
        computes: What one step computes, in words; None where only the user knows.
        on: Where it computes, ``cpu``, ``gpu`` or ``tpu``; None where this is not known.
        numpy_ms: Milliseconds per batch that its conversion to NumPy took; None without one.
        copy_ms: Milliseconds per batch until it was in the memory of the device or of another library; None without
            such a copy.
    """

    computes: str | None = None
    on: str | None = None
    numpy_ms: float | None = None
    copy_ms: float | None = None


class BatchConsumer:
    """Consumer of batches on a device with a time line; what `submit` raises is the step's error."""

    def submit(self, batch: Any) -> tuple[int, int]:
        """Hand over a batch; returns when the device starts on it and ends with it, in nanoseconds."""
        raise NotImplementedError

    def wait(self) -> tuple[int, int]:
        """Wait until the next batch may be requested; return the deadline and the time of waking, in nanoseconds."""
        raise NotImplementedError

    def shift(self, pause: int) -> None:
        """Exclude the last `pause` nanoseconds from the device's time line."""

    def told(self) -> StepFacts:
        """Return what is known of the step; means are those of the batches since the last call."""
        return StepFacts()


@dataclass(frozen=True)
class StepContext:
    """The run that a step is started for.

    Attributes:
        dispatch: How many steps may be in flight in this run, or ``sync``.
        returned: The step that the user's function returned.
        waiting: Call it about once a second during a longer wait, as a sign of life.
    """

    element_spec: Any = None
    dispatch: Dispatch = "sync"
    seed: int = 0
    returned: Callable[[Any], object] | None = None
    waiting: Callable[[], object] = lambda: None
