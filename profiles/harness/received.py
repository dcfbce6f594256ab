"""Collected messages of the worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.shared import Phase, PhaseName, Training
from pipeprof.profiles.harness.source_lines import shorten_training
from pipeprof.profiles.memory.growth import SoakLog
from pipeprof.profiles.protocol.messages import (
    STOPPED,
    Answer,
    Beat,
    BuildGrew,
    DeviceRead,
    Done,
    Graphs,
    Libraries,
    Measured,
    MemoryReport,
    ModelLook,
    PhaseChanged,
    Raised,
    Replayed,
    Sketch,
    SoakFreed,
    SoakReading,
    StepReturned,
    StepTold,
    Swallowed,
    Trace,
    TraceBegan,
    TrainingSeen,
    Warned,
    WorkerMessage,
)
from pipeprof.profiles.protocol.services import ServiceAwaited, ServiceRead, ServicesRead
from pipeprof.profiles.view.parsed_graphs import ParsedGraphs

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.read.records import ModelDict
    from pipeprof.profiles.gaps.steps import DeviceSeen

STARTING_SECONDS = 60.0
"""How long TensorFlow may take to start at least, whatever the timeout of the pipeline."""
GROWING_TIMES = 5
"""How many timeouts a function may take to build the pipeline while its memory grows.

One that reads a large array grows and comes to its end; an endless recursion grows as well.
"""


@dataclass
class Observed:
    """Collected messages of the worker, with the latest of each kind.

    Attributes:
        phases: Phases begun, in order.
        rate: Batches per second in it.
        last_model: The latest look at TensorFlow's model, for a worker that died before its report.
        sketch: A function's graph as it was seen being made.
        give_up_at: Deadline of what is in progress after all results that a report needs, in seconds of `clock`.
        training: How a script takes its batches; the wait is that of `device` where its clock knows it.
        device: What the clock of the device showed that the steps compute on.
        own_step: The target returned a step, which takes the batches.
        step_told: What the step says of itself.
        swallowed: An error that an ``ignore_errors`` hides.
        services: The tf.data services that the pipeline reads from.
        awaited: The address of the one that its build was last seen to wait for.
        answer: The latest answer to a query of its state.
        done: Whether the worker has sent its last message.
        heard: When it last made progress, in seconds of `clock`.
        grew: When the memory of a build last grew, in seconds of `clock`.
    """

    clock: Callable[[], float] = time.monotonic
    phases: list[Phase] = field(default_factory=list)
    measured: Measured | None = None
    steps: int = 0
    rate: float | None = None
    beat_seconds: float = 0.0
    graphs: ParsedGraphs | None = None
    memory: MemoryReport | None = None
    last_model: ModelDict | None = None
    soak: SoakLog | None = None
    soak_freed: int | None = None
    sketch: Sketch | None = None
    trace: Trace | None = None
    give_up_at: float | None = None
    own_step: bool = False
    step_told: StepTold | None = None
    training: Training | None = None
    device: DeviceSeen | None = None
    replayed: Replayed | None = None
    swallowed: Swallowed | None = None
    services: list[ServiceRead] = field(default_factory=list)
    awaited: str | None = None
    versions: dict[str, str | None] = field(default_factory=dict)
    gpus: list[str] = field(default_factory=list)
    warnings: list[Message] = field(default_factory=list)
    answer: Answer | None = None
    answers: int = 0
    error: Raised | None = None
    done: bool = False
    heard: float = 0.0
    grew: float = 0.0

    def __post_init__(self) -> None:
        """Start the wait for the first sign of life."""
        self.heard = self.clock()

    @property
    def phase(self) -> PhaseName:
        """Current or last phase of the worker."""
        return self.phases[-1].name if self.phases else "import"

    def patience(self, timeout: float) -> float:
        """Return the seconds without progress after which the worker is taken to hang.

        Args:
            timeout: That of the pipeline, in seconds. It does not hold while TensorFlow starts, which takes long on a
                busy machine or a slow disk and is not the pipeline's doing.
        """
        return max(timeout, STARTING_SECONDS) if self.phase == "import" else timeout

    def hangs_at(self, timeout: float) -> float:
        """Return when the worker is taken to hang, in seconds of `clock`.

        Args:
            timeout: That of the pipeline, in seconds.
        """
        longest = self.heard + GROWING_TIMES * timeout
        return max(self.heard + self.patience(timeout), min(self.grew + timeout, longest))

    def grows_at_its_end(self, timeout: float) -> bool:
        """Return whether a build had all the time that growing memory gives it.

        Args:
            timeout: That of the pipeline, in seconds.
        """
        return self.grew + timeout >= self.heard + GROWING_TIMES * timeout

    def excuse(self, seconds: float) -> None:
        """Leave out a time in which the worker could not be heard."""
        self.heard += seconds
        self.grew += seconds

    @property
    def complete(self) -> bool:
        """Whether the measurement proper came to its end."""
        return self.final and self.error is None

    @property
    def final(self) -> bool:
        """Whether the statistics of the measured steps are complete."""
        return self.measured is not None and self.measured.loop is not None

    @property
    def traces(self) -> bool:
        """Whether the trace has begun: what comes before it is known."""
        return self.trace is not None or (self.final and self.give_up_at is not None)

    @property
    def was_cut(self) -> bool:
        """Whether the measurement ended early, at the harness's request."""
        return any(phase.name == "measure" and phase.note == STOPPED for phase in self.phases)

    def take(self, message: WorkerMessage) -> None:  # noqa: PLR0912, PLR0915 - one branch for each kind of message
        """Fold in one message."""
        if isinstance(message, Answer):
            self.answer, self.answers = message, self.answers + 1
            if message.measured is not None and not self.final:
                self.measured = message.measured
            self.last_model = message.model or self.last_model
            return
        if isinstance(message, ServiceAwaited):
            self.awaited = message.address
            return
        if isinstance(message, BuildGrew):
            self.grew = self.clock()
            return
        self.heard = self.clock()
        match message:
            case PhaseChanged(phase):
                if phase.seconds is None:
                    self.steps, self.beat_seconds = 0, 0.0
                    self.phases.append(phase)
                else:
                    self.phases[-1] = phase
            case Beat():
                self.steps, self.rate, self.beat_seconds = message.steps, message.rate, message.seconds
            case Measured():
                if not self.final:
                    self.measured = message
            case MemoryReport():
                self.memory = message
            case ModelLook():
                self.last_model = message.model
            case SoakReading():
                self.soak = self.soak or SoakLog()
                self.soak.add(message)
            case SoakFreed():
                self.soak_freed = message.freed
            case Sketch():
                self.sketch = message
            case Graphs():
                self.graphs = ParsedGraphs.of(message)
            case TraceBegan():
                self.give_up_at = self.heard + message.seconds
            case Trace():
                self.trace, self.give_up_at = message, None
            case Replayed():
                self.replayed = message
            case Swallowed():
                self.swallowed = message
            case TrainingSeen():
                self.training = self._by_clock(shorten_training(message.training))
            case DeviceRead():
                # With NumPy: a target that cannot be read needs none.
                from pipeprof.profiles.gaps.steps import read_device

                self.device = read_device(message)
            case ServicesRead():
                self.services = message.services
            case StepReturned():
                self.own_step = True
            case StepTold():
                self.step_told = message
            case Libraries():
                self.versions, self.gpus = message.versions, message.gpus
            case Warned():
                self.warnings.append(Message(code=message.code, message=message.text))
            case Raised():
                self.error = message
            case Done():
                self.done = True

    def _by_clock(self, training: Training) -> Training:
        """Return the section with the wait by the device's clock; that of its dataset where the clock has none."""
        window = self.device.window if self.device is not None else None
        if window is None or training.consumer is None:
            return training
        return replace(training, window=window, wait="clock", unknown=None)
