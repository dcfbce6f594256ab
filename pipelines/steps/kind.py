"""A kind of training step: how it is written, shown, planned and run.

Neither this module nor those of the kinds import pydantic, TensorFlow or another framework: command line and worker
both read them. What a kind needs of these, its methods import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

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


def _ignore() -> None:
    """Give no sign of life."""


@dataclass(frozen=True)
class StepContext:
    """The run that a step is started for.

    Attributes:
        dispatch: How many steps may be in flight in this run, or ``sync``.
        waiting: Call it about once a second during a longer wait, as a sign of life.
    """

    element_spec: Any = None
    dispatch: Dispatch = "sync"
    seed: int = 0
    returned: Callable[[Any], object] | None = None
    size_of: Callable[[Any], int] = field(default=lambda _batch: 0)
    waiting: Callable[[], None] = _ignore


class StepKind:
    """A kind of training step; the base class itself stands for one that this version does not know.

    Its *value* is what stands under its name in a spec; its *arguments* are JSON data, which the worker gets.
    """

    name: ClassVar[str] = ""
    """Its key in a spec, and the word before the colon on the command line."""
    example: ClassVar[str] = ""
    """A value on the command line; empty if users do not write this kind."""
    pattern: ClassVar[str] = ".+"
    """Regular expression of the values on the command line, for editors."""
    description: ClassVar[str] = ""
    """Of its key in a spec."""
    own_code: ClassVar[bool] = True
    """Whether it runs code of the user's: then ``--no-python`` refuses it, and single steps may be compilations."""
    shares_device: ClassVar[bool] = False
    """Whether several processes may run it at once, since no real device is in use."""
    fixed_time: ClassVar[bool] = False
    """Whether a step takes as long on every machine."""
    dispatch: ClassVar[Literal["none", "sync", "any", "own"]] = "sync"
    """Whether the loop can run ahead: there is nothing to run ahead of, it waits for each step, as the user says, or as
    `own_dispatch` says unless the user does."""
    copies_ahead: ClassVar[str | None] = None
    """Code that copies batches to its device while it computes; empty where none fits all loops, None where there is
    nothing to copy."""
    shown_as: ClassVar[str] = ""
    """The kind that a profile names instead; empty for its own name."""

    def annotation(self) -> Any:
        """Return the type of its value, for pydantic; a value of the command line is checked against it, too."""
        raise NotImplementedError

    def definitions(self) -> Mapping[str, Any]:
        """Return what its schema refers to, by name: models or parts of a JSON schema."""
        return {}

    def text(self, value: Any) -> str:
        """Return the value as a report shows it."""
        return str(value)

    def sentence(self, text: str) -> str:
        """Return what a report's heading says of the step."""
        return f"step {text}"

    def same_for_all_batches(self, text: str) -> str | None:
        """Return in words that each batch takes the same time, whatever is in it; None where it may not."""
        del text
        return None

    def check(self, value: Any) -> None:
        """Look at a value of the command line before anything runs.

        Raises:
            UsageError: It cannot run here: it names what does not exist, or needs a package that is not installed.
        """

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        """Return the arguments for the worker; relative paths are relative to `base`."""
        raise NotImplementedError

    def user_files(self, arguments: Mapping[str, Any]) -> Sequence[str]:
        """Return the files with the user's code among the arguments."""
        del arguments
        return ()

    def own_dispatch(self, arguments: Mapping[str, Any]) -> Dispatch | None:
        """Return how far the loop of this step runs ahead; None where its arguments do not say."""
        del arguments
        return None

    def too_optimistic(self, arguments: Mapping[str, Any]) -> str | None:
        """Return in words why this step leaves the pipeline more than the real one does; None where it does not.

        Nothing that is measured with such a step is called proven.
        """
        del arguments
        return None

    def floor_ms(self, arguments: Mapping[str, Any]) -> float:
        """Return the duration of a step under which the baseline of ``next()`` is measured."""
        del arguments
        return 5.0

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        """Make the step, in the worker."""
        raise NotImplementedError
