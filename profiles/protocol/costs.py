"""Messages on what is measured after the steps: the same with fewer cores, fixed costs of elements."""

from __future__ import annotations

from dataclasses import dataclass

from pipeprof.profiles.protocol.messages import WorkerMessage


@dataclass(frozen=True)
class FewerCores(WorkerMessage):
    """Steps with some of the cores, and with all of them before and after that, those that begin an epoch left out.

    Attributes:
        all_ms: Mean interval with all cores.
        tuned_ms: Mean interval of a new iterator with them that is tuned for them; `None` if it was not measured.
    """

    cores: int
    fewer_ms: float
    fewer_steps: int
    all_ms: float
    all_steps: int
    tuned_ms: float | None = None
    tuned_steps: int | None = None


@dataclass(frozen=True)
class StartsAgain(WorkerMessage):
    """Start of another iterator, after the trace; the harness ends a worker that is not done in `seconds`."""

    seconds: float


@dataclass(frozen=True)
class MeasuredCosts(WorkerMessage):
    """What elements and calls cost, whatever they are, in microseconds.

    Attributes:
        row_us: An element put into a batch, its bytes excluded.
        call_us: A call of a map's function.
        hand_over_us: An element from one thread to the next.
        few_calls_us: CPU time of an element of a map with as many calls at a time as cores: its threads fall asleep.
        many_calls_us: The same with eight times as many.
        epoch_us: A new iterator and its first batch.
    """

    row_us: float
    call_us: float
    hand_over_us: float
    cached_us: float
    few_calls_us: float
    many_calls_us: float
    epoch_us: float
