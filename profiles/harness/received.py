"""What the harness knows of the worker: its sample so far, the user's places in it, its memory, when it was heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import holder, traits
from pipeprof.profiles.advise.advise import tried
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.shared import Phase, PhaseName
from pipeprof.profiles.document.stages import Caller
from pipeprof.profiles.memory.buffers import kind_of, map_looks
from pipeprof.profiles.memory.growth import SoakLog
from pipeprof.profiles.memory.ledger import LedgerInput, account, before_running
from pipeprof.profiles.protocol.messages import SILENT, STOPPED, LoopCost, Sample
from pipeprof.profiles.view.from_graph import ParsedGraphs
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeprof.pipelines.graph.read.records import ModelDict
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.profiles.document.profile import Message, Profile
    from pipeprof.profiles.document.shared import CodePlace, DatasetUse, FunctionUse, Training
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.gaps.steps import DeviceSeen
    from pipeprof.profiles.host.sampler import Sampler
    from pipeprof.profiles.protocol.channel import Changes


STARTING_SECONDS = 60.0
"""How long TensorFlow may take to start at least, whatever the timeout of the pipeline."""
GROWING_TIMES = 5
"""How many timeouts a function may take to build the pipeline while its memory grows.

One that reads a large array grows and comes to its end; an endless recursion grows as well.
"""


@dataclass(kw_only=True)
class Observed(Sample):
    """The worker's sample, and what the harness makes of it.

    Attributes:
        give_up_at: Deadline of what is in progress after all results that a report needs, in seconds of `clock`.
        heard: When it last made progress, in seconds of `clock`, as has `grew`, when the memory of a build last grew.
    """

    clock: Callable[[], float] = time.monotonic
    parsed: ParsedGraphs | None = None
    soak_log: SoakLog | None = None
    device_seen: DeviceSeen | None = None
    answers: int = 0
    give_up_at: float | None = None
    heard: float = field(init=False)
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
        """Return when the worker is taken to hang, in seconds of `clock`."""
        longest = self.heard + GROWING_TIMES * timeout
        return max(self.heard + self.patience(timeout), min(self.grew + timeout, longest))

    def grows_at_its_end(self, timeout: float) -> bool:
        """Return whether a build had all the time that growing memory gives it."""
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
    def loop(self) -> LoopCost | None:
        """What is known once the measurement is over."""
        return self.measured.loop if self.measured is not None else None

    @property
    def final(self) -> bool:
        """Whether the statistics of the measured steps are complete."""
        return self.loop is not None

    @property
    def traces(self) -> bool:
        """Whether the trace has begun: what comes before it is known."""
        return self.trace is not None or (self.final and self.give_up_at is not None)

    @property
    def was_cut(self) -> bool:
        """Whether the measurement ended early, at the harness's request."""
        return any(phase.name == "measure" and phase.note == STOPPED for phase in self.phases)

    def take(self, changes: Changes) -> None:
        """Fold in what has changed; nothing at all is a sign of life."""
        if not changes or not changes.keys() <= SILENT:
            self.heard = self.clock()
        changes = dict(changes)
        for phase in changes.pop("phases", ()):
            self._take_phase(phase)
        self.warnings += changes.pop("warnings", ())
        if self.final:
            changes.pop("measured", None)
        vars(self).update(changes)
        if "answer" in changes and self.answer is not None:
            self.answers += 1
            self.model = self.answer.model or self.model
            self.measured = self.measured if self.final else self.answer.measured or self.measured
        if "grows" in changes:
            self.grew = self.clock()
        if "trace_ends_in" in changes and self.trace_ends_in is not None:
            self.give_up_at = self.heard + self.trace_ends_in
        if "trace" in changes:
            self.give_up_at = None
        if "graphs" in changes and self.graphs is not None:
            self.parsed = ParsedGraphs.of(self.graphs)
        if "soak" in changes and self.soak is not None:
            self.soak_log = self.soak_log or SoakLog()
            self.soak_log.add(self.soak)
        if "device" in changes and self.device is not None:
            # With NumPy: a target that cannot be read needs none.
            from pipeprof.profiles.gaps.steps import read_device

            self.device_seen = read_device(self.device)
        if "training" in changes:
            self._take_training()

    def _take_phase(self, phase: Phase) -> None:
        if phase.seconds is None:
            self.steps, self.phase_seconds = 0, 0.0
            self.phases.append(phase)
        else:
            self.phases[-1:] = [phase]

    def _take_training(self) -> None:
        """Use the wait by the device's clock; that of its dataset where the clock has none."""
        if self.training is None:
            return
        shorten_training(self.training)
        window = self.device_seen.window if self.device_seen is not None else None
        if window is not None and self.training.consumer is not None:
            self.training = replace(self.training, window=window, wait="clock", unknown=None)


def locate(stages: Iterable[Stage], graphs: ParsedGraphs, source: CodePlace | None = None) -> None:
    """Set the place of every stage whose dataset was seen when it was made.

    Args:
        source: The user's object that Keras takes batches from, whose name stands for that of Keras' own generator.
    """
    places = graphs.places
    if not places:
        return
    written = {stage.address: stage for stage in graphs.written.stages()}
    first: dict[int, str] = {}
    for stage in stages:
        nodes = written[stage.id].nodes if stage.id in written else ()
        place = next((places[node] for node in reversed(nodes) if node in places), None)
        if place is not None:
            stage.location = Location(
                file=place["file"], line=place["line"], column=place["column"], call=place.get("call")
            )
            stage.name = stage.name or place.get("given")
            library = place.get("library")
            stage.library = Caller(**library) if library is not None else None
            if source is not None and stage.library is not None and traits(stage.op).python_iterator:
                stage.name = source.name
            if (made := place.get("made")) is not None and first.setdefault(made, stage.id) != stage.id:
                stage.same_as = first[made]
            stage.called_from = [Caller(**caller) for caller in place["callers"]] or None


def shorten(stages: Iterable[Stage]) -> None:
    """Name the files in which stages are written as the user types them, in place."""
    for stage in stages:
        for place in (stage.location, *(stage.called_from or ())):
            if place is not None:
                place.file = as_typed(place.file)


def shorten_training(training: Training) -> Training:
    """Name the files of a training script in the same way, in place."""
    places: list[DatasetUse | FunctionUse | CodePlace | None] = [*training.datasets, *training.functions]
    places += [*training.callbacks, *training.unread, training.source, training.saver]
    for place in places:
        if place is not None and place.file is not None:
            place.file = as_typed(place.file)
    return training


def account_memory(
    profile: Profile, observed: Observed, sampler: Sampler, loaded: LoadedSpec | None, stages: Mapping[str, Stage]
) -> None:
    """Fill in the profile's ledger, as far as the worker reported its memory and graphs. Never raises."""
    report, graphs = observed.memory, observed.parsed
    if report is None or graphs is None:
        if observed.model is not None:
            _state_last_buffers(profile.stages or (), observed.model)
        return
    spec = loaded is not None

    def fill() -> list[Message]:
        from pipeprof.profiles.view.from_graph import view_of_graphs

        view = view_of_graphs(
            graphs.written,
            graphs.executed,
            profile.stages or [],
            by_address=spec,
            cores=profile.host.cores,
            memory_limit=profile.host.memory_limit_bytes,
            profile=profile,
            made=graphs.made,
            constants=graphs.constants,
        )
        ops = {address: stage.op for address, stage in stages.items()} if spec else None
        return account(
            profile,
            LedgerInput(
                report=report,
                looks=map_looks(graphs.pair(ops), report.looks),
                view=view,
                origin=sampler.started,
                predicted=before_running(view, report.arrays),
                children=sampler.had_children,
            ),
        )

    messages: list[Message] = []
    found = tried("its memory", fill, messages)
    profile.warnings += [*messages, *(found or [])]


def _state_last_buffers(stages: Sequence[Stage], model: ModelDict) -> None:
    """State in the rows of a run that died what its stages held at the last look, where only one is of a kind."""
    for stage in stages:
        held = [node for node in model["nodes"] if (holder(kind_of(node)) or ("", ""))[1] == stage.op]
        elements = sum(node["buffered_elements"] for node in held)
        nbytes = round(sum(node["buffered_bytes"] for node in held))
        if elements > 0 and nbytes > 0 and [one.op for one in stages].count(stage.op) == 1:
            stage.buffered_bytes, stage.buffered_elements = nbytes, elements
