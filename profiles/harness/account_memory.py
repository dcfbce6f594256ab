"""The ledger of a run: the worker's readings, the pipeline's view and its prediction brought together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.advise.advise import tried
from pipeprof.profiles.memory.ledger.account import LedgerInput, account, before_running, looks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.harness.failure import StageAt
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.sampler import Sampler
    from pipeprof.profiles.memory.predict.model import MemoryPrediction
    from pipeprof.profiles.protocol.messages import MemoryMoment
    from pipeprof.profiles.view.view import PipelineView


def account_memory(
    profile: Profile,
    observed: Observed,
    sampler: Sampler,
    loaded: LoadedSpec | None,
    stages: Mapping[str, StageAt],
) -> None:
    """Fill in the profile's ledger where the worker got as far as telling of its memory and graphs. Never raises."""
    report, graphs = observed.memory, observed.graphs
    if report is None or graphs is None:
        messages: list[Message] = []
        tried("its memory", lambda: _at_last_look(profile, observed, sampler, loaded), messages)
        profile.warnings += messages
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
        )
        ops = {address: stage.op for address, stage in stages.items()} if spec else None
        return account(
            profile,
            LedgerInput(
                report=report,
                looks=looks(graphs, report, by_address=spec, ops=ops),
                view=view,
                origin=sampler.started,
                predicted=_predicted(profile, view, loaded, report.python.arrays),
                children=sampler.had_children,
            ),
        )

    messages = []
    found = tried("its memory", fill, messages)
    profile.warnings += [*messages, *(found or [])]


def _at_last_look(profile: Profile, observed: Observed, sampler: Sampler, loaded: LoadedSpec | None) -> None:
    """The ledger of a worker that did not live to tell of its memory."""
    from pipeprof.profiles.memory.ledger.account import entries_of
    from pipeprof.profiles.memory.ledger.interrupted import LastLook, ledger_at
    from pipeprof.profiles.view.from_spec import view_of_spec
    from pipeprof.profiles.view.view import PipelineView

    look, host = observed.memory_look, profile.host
    if look is None:
        return
    view = PipelineView(kind="static", stages=(), options={}, cores=host.cores)
    if loaded is not None:
        view = view_of_spec(loaded, cores=host.cores, memory_limit_bytes=host.memory_limit_bytes)
    found = ledger_at(
        LastLook(
            readings=observed.readings,
            memory=look.memory,
            phase=look.phase,
            model=look.model,
            view=view,
            origin=sampler.started,
            children=_children(profile, sampler, look.memory),
        )
    )
    if found is None:
        return
    memory = profile.memory
    memory.ledger_at, ledger, predicted = found
    memory.ledger = entries_of(ledger, predicted if loaded is not None else None)
    memory.unexplained_bytes = ledger.unexplained
    if loaded is not None:
        memory.predicted_bytes = predicted.peak_bytes


def _children(profile: Profile, sampler: Sampler, memory: MemoryMoment) -> int:
    """What child processes held when the worker looked at its own memory."""
    own = memory.rss
    if not sampler.had_children or own is None:
        return 0
    from pipeprof.profiles.memory.ledger.growth import memory_at

    held = memory_at(profile.series, memory.t - sampler.started)
    return max(0, round(held or 0) - own)


def _predicted(profile: Profile, view: PipelineView, loaded: LoadedSpec | None, arrays: int) -> MemoryPrediction:
    """What ``check`` says of a spec; of a function what its graph says without anything measured."""
    if loaded is None:
        return before_running(view, arrays)
    from pipeprof.profiles.memory.predict.predict import memory_prediction
    from pipeprof.profiles.view.from_spec import view_of_spec

    host = profile.host
    return memory_prediction(view_of_spec(loaded, cores=host.cores, memory_limit_bytes=host.memory_limit_bytes))
