"""Ledger of a run, from the worker's readings, the pipeline's view and its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.advise.advise import tried
from pipeprof.profiles.memory.ledger.account import LedgerInput, account, before_running
from pipeprof.profiles.memory.ledger.buffers import map_looks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.sampler import Sampler
    from pipeprof.profiles.protocol.messages import MemoryMoment
    from pipeprof.profiles.view.view import PipelineView


def account_memory(
    profile: Profile,
    observed: Observed,
    sampler: Sampler,
    loaded: LoadedSpec | None,
    stages: Mapping[str, Stage],
    *,
    sketch_view: PipelineView | None = None,
) -> None:
    """Fill in the profile's ledger, as far as the worker reported its memory and graphs. Never raises.

    Args:
        stages: The written stages by address.
        sketch_view: The view of the stages as they were seen being made.
    """
    report, graphs = observed.memory, observed.graphs
    if report is None or graphs is None:
        messages: list[Message] = []
        tried("its memory", lambda: _at_last_look(profile, observed, sampler, sketch_view), messages)
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
                predicted=before_running(view, report.python.arrays),
                children=sampler.had_children,
                build=observed.build_memory,
            ),
        )

    messages = []
    found = tried("its memory", fill, messages)
    profile.warnings += [*messages, *(found or [])]


def _at_last_look(profile: Profile, observed: Observed, sampler: Sampler, view: PipelineView | None) -> None:
    """Build the ledger of a worker that died before it reported its memory."""
    from pipeprof.profiles.memory.ledger.account import entries_of, state_buffers
    from pipeprof.profiles.memory.ledger.interrupted import LastLook, ledger_at
    from pipeprof.profiles.view.view import PipelineView

    look = observed.memory_look
    if look is None or not profile.shows_memory:
        return
    nothing = PipelineView(kind="static", stages=(), options={}, cores=profile.host.cores)
    found = ledger_at(
        LastLook(
            readings=observed.readings,
            memory=look.memory,
            phase=look.phase,
            model=look.model,
            view=view or nothing,
            origin=sampler.started,
            children=_children(profile, sampler, look.memory),
            build=observed.build_memory,
        )
    )
    if found is None:
        return
    memory = profile.memory
    memory.ledger_at, ledger, predicted = found
    memory.ledger = entries_of(ledger, predicted if view is not None else None, memory.peak_bytes)
    memory.unexplained_bytes = ledger.unexplained
    if view is not None:
        memory.predicted_bytes = predicted.peak_bytes
    state_buffers(profile, ledger)


def _children(profile: Profile, sampler: Sampler, memory: MemoryMoment) -> int:
    """Return the memory of child processes at the time of the worker's reading."""
    own = memory.rss
    if not sampler.had_children or own is None:
        return 0
    from pipeprof.profiles.memory.ledger.growth import memory_at

    held = memory_at(profile.series, memory.t - sampler.started)
    return max(0, round(held or 0) - own)
