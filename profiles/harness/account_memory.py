"""Ledger of a run, from the worker's readings, the pipeline's view and its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import holder
from pipeprof.profiles.advise.advise import tried
from pipeprof.profiles.memory.buffers import kind_of, map_looks
from pipeprof.profiles.memory.ledger import LedgerInput, account, before_running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeprof.pipelines.graph.read.records import ModelDict
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.sampler import Sampler


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
