"""Findings and ideas of a run, as its profile has them; findings and predicted memory of a target that did not run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pipeprof.pipelines.meaning.traits import RETAINING_OWNERS, traits
from pipeprof.pipelines.static.slips import slips_in
from pipeprof.profiles.advise.apply import CHECKS, FINDINGS, findings_in, ideas_for, in_one_line
from pipeprof.profiles.advise.check import warn_of_unknown
from pipeprof.profiles.advise.findings.memory import MEMORY
from pipeprof.profiles.advise.findings.training import TRAINING
from pipeprof.profiles.advise.order import finding_of, ordered
from pipeprof.profiles.document.findings import UNVERIFIED, Finding
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.predict import MemoryPrediction, memory_prediction
from pipeprof.profiles.view.from_graph import ParsedGraphs, rows_of_sketch, view_of_sketch
from pipeprof.profiles.view.view import MeasuredFacts, PipelineView, with_texts, with_written

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.stages import StageGraph
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.spec.spec import Ignore
    from pipeprof.pipelines.static.slips import Slip
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.advise.check import Check
    from pipeprof.profiles.advise.proposal import Proposal
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.protocol.messages import Sketch


MOST_UNTRIED = 3
"""Ideas that are reported of a script after which nothing is tried."""
_T = TypeVar("_T")


def advise(
    view: PipelineView, *, ignore: Sequence[Ignore] = (), checks: Iterable[Check] | None = None
) -> tuple[list[Finding], list[Message]]:
    """What is wrong with a pipeline for certain, in its order, and messages: failed, ignored and unknown checks."""
    proposals, messages = findings_in(view, ignore=ignore, checks=FINDINGS if checks is None else checks)
    return ordered((_documented(view, one) for one in proposals), view), [*warn_of_unknown(ignore, CHECKS), *messages]


def worth_a_try(view: PipelineView, known: Sequence[Finding], *, ignore: Sequence[Ignore] = ()) -> list[Finding]:
    """The ideas for a pipeline, the most promising first; nothing that a finding changes in the same way."""
    edits = [finding.edits for finding in known if finding.edits]
    proposals, _ = ideas_for(view, ignore=ignore)
    return [_documented(view, one) for one in proposals if one.edits not in edits]


def _documented(view: PipelineView, proposal: Proposal) -> Finding:
    """A proposal as the profile has it, with its change as a diff of the user's file."""
    # Most checks find nothing.
    from pipeprof.pipelines.changes.in_spec_text import spec_diff
    from pipeprof.profiles.advise.text.in_words import diff_of

    patch = spec_diff(view.loaded, proposal.edits) if view.loaded is not None and proposal.edits else None
    found = finding_of(proposal, patch=patch, reason=UNVERIFIED)
    if proposal.edits and view.loaded is None and view.profile is not None:
        found.diff = diff_of(view.profile.target, view.stages, proposal.edits)
    return found


def findings_for(
    profile: Profile,
    graphs: ParsedGraphs | None = None,
    *,
    loaded: LoadedSpec | None = None,
    sketch_view: PipelineView | None = None,
    slips: Sequence[Slip] = (),
    tries: bool = False,
) -> tuple[list[Finding] | None, list[Message]]:
    """The findings of a run, from its graphs where they were read, else from the stages as written. Never raises.

    Ideas become the profile's `proposals`.

    Args:
        sketch_view: The view of the stages as they were seen being made, for a run without graphs.
        tries: Ideas will be tried: none of them is a finding yet.

    Returns:
        The findings, None if nothing could be judged; and messages for the profile's warnings. One that says more than
        a warning of the profile takes its place.
    """
    messages: list[Message] = []
    measured = _measurement(profile)
    view = None
    checks: Iterable[Check] | None = None

    missing = _missing(profile, graphs)
    if graphs is not None and (not missing or ((graphs.made or graphs.constants) and loaded is None)):
        pair, rest = (graphs.written, graphs.executed), {"made": graphs.made, "constants": graphs.constants, **measured}
        view = tried("the graphs", lambda: _view_of_graphs(pair, by_address=loaded is not None, **rest), messages)
    if view is None and sketch_view is not None and missing:
        view = replace(_with_buffers(sketch_view, profile), **measured)
        checks = MEMORY
        missing = f"{missing}: only memory was judged, by the stages as written"
    elif view is None:
        missing = missing and f"{missing}: nothing was judged"
    elif missing:
        missing = f"{missing}: only the sources in memory and the constants of graphs were judged"
    elif profile.steps is not None and all(stage.ms_per_batch is None for stage in view.stages):
        missing = (
            "TensorFlow keeps no counters of this pipeline, as with autotune off, so the cost of each stage is "
            "unknown: findings that compare costs were not looked for"
        )
    if missing and not (view is None and profile.errors):
        messages.append(_not_judged(profile, missing))
    if view is None and profile.training is not None:
        view = PipelineView("measured", (), **measured)
        checks = TRAINING
    if view is None:
        return None, messages
    known = with_texts(replace(view, slips=tuple(slips)))
    if loaded is not None:
        known = with_written(view, loaded)
    ignore = loaded.spec.ignore if loaded else ()
    result = tried("the findings", lambda: advise(known, ignore=ignore, checks=checks), messages)
    if result is None:
        return None, messages
    found, more = result
    further = tried("what is worth a try", lambda: worth_a_try(known, found, ignore=ignore), []) or []
    if profile.target.kind == "script" and not tries:
        # Nothing is tried after such a run: the most promising ideas are reported as such.
        found, further = [*found, *further[:MOST_UNTRIED]], further[MOST_UNTRIED:]
    profile.propose(further)
    return found, [*messages, *more]


def _with_buffers(view: PipelineView, profile: Profile) -> PipelineView:
    """The view of a run that was ended: shuffles and caches with what they held at its last reading."""
    rows = {row.id: row for row in profile.stages or () if row.buffered_bytes}
    stages = tuple(
        replace(stage, measured=rows[stage.id])
        if stage.id in rows and traits(stage.op).holds in RETAINING_OWNERS and stage.measured is None
        else stage
        for stage in view.stages
    )
    return replace(view, stages=stages)


def _not_judged(profile: Profile, missing: str) -> Message:
    """Message on what was not judged; merged into a warning about unread stages if the profile has one."""
    unread = next(
        (message for message in profile.warnings if message.code in ("stages-unread", "stages-no-model")), None
    )
    if unread is None:
        return Message(code="not-judged", message=missing)
    profile.warnings.remove(unread)
    _, _, left = missing.rpartition(": ")
    return Message(code=unread.code, message=f"{unread.message.removesuffix('.')}; {left}")


def tried(what: str, make: Callable[[], _T], messages: list[Message]) -> _T | None:
    """Call `make`; if it raises, return ``None`` and append a message that names `what`."""
    try:
        return make()
    except Exception as error:  # Advice comes last, when the measurement is done: nothing in it may cost the report.
        messages.append(Message(code="not-judged", message=f"{what} could not be judged ({in_one_line(error)})"))
        return None


def _missing(profile: Profile, graphs: ParsedGraphs | None) -> str:
    if graphs is None:
        ended = "the run ended before TensorFlow's graph was read"
        return ended if profile.errors or not profile.complete else "TensorFlow's graph was not read"
    lacking = [graph for graph in (graphs.written, graphs.executed) if graph.root is None]
    return f"TensorFlow's graph was not read ({lacking[0].reason or 'it is empty'})" if lacking else ""


def _measurement(profile: Profile) -> dict[str, Any]:
    """Collect what a view carries of a run in addition to its stages, by the names of its fields."""
    # Only a run needs the host.
    from pipeprof.pipelines.changes.edits import VALUES
    from pipeprof.profiles.host.host import installed_allocator

    causes, contention = profile.causes, profile.contention
    facts = MeasuredFacts(
        worker_cores=causes.worker_cores if causes else None,
        others_cores=contention.others_cores if contention else None,
        runnable_wait_share=contention.runnable_wait_share if contention else None,
        python_share=causes.python_share if causes else None,
        python_lock_share=causes.python_lock_share if causes else None,
        environment={name: value for name in VALUES if (value := os.environ.get(name)) is not None},
        allocator=installed_allocator(),
    )
    return {"profile": profile, "facts": facts}


def _view_of_graphs(
    graphs: tuple[StageGraph, StageGraph], *, by_address: bool, profile: Profile, **parts: Any
) -> PipelineView:
    from pipeprof.profiles.view.from_graph import view_of_graphs

    cores, limit = profile.host.cores, profile.host.memory_limit_bytes
    return view_of_graphs(
        *graphs, profile.stages or [], by_address=by_address, cores=cores, memory_limit=limit, profile=profile, **parts
    )


@dataclass(frozen=True)
class StaticAdvice:
    """Advice without a run, as far as it is known; findings and memory are None where they are not."""

    stages: Sequence[Stage] = ()
    findings: list[Finding] | None = None
    memory: MemoryPrediction | None = None
    messages: list[Message] = field(default_factory=list)
    what_ifs: list[LimitAnswer] = field(default_factory=list)


def static_advice(
    target: ParsedTarget,
    loaded: LoadedSpec | None,
    rows: Sequence[Stage],
    sketch: Sketch | None,
    *,
    cores: float,
    memory_limit_bytes: int | None = None,
    what_if: bool = False,
) -> StaticAdvice:
    """Judge a target by its text and by the graph that it was built to, without a run. Never raises.

    Args:
        sketch: None for a function of which only the text is known; then its findings are None where that shows none.
        what_if: Answer what the limit means.
    """

    def read() -> PipelineView:
        if sketch is None:
            view = PipelineView("static", (), cores=cores, memory_limit_bytes=memory_limit_bytes)
        else:
            spec = rows if loaded is not None else None
            view = view_of_sketch(sketch, cores=cores, memory_limit=memory_limit_bytes, spec=spec)
        if loaded is not None:
            return with_written(view, loaded)
        return replace(view, slips=tuple(slips_in(target.path, target.function)))

    messages: list[Message] = []
    view = tried("the stages", read, messages)
    if view is None:
        return StaticAdvice(rows, messages=messages)
    rows = rows or rows_of_sketch(view)
    if sketch is not None and sketch.written["root"] is None:
        messages.append(Message(code="no-graph", message=f"The graph could not be read: {sketch.written['reason']}"))
    ignore = loaded.spec.ignore if loaded is not None else ()
    memory = tried("its memory", lambda: memory_prediction(view), messages) if sketch is not None else None
    findings, more = tried("the findings", lambda: advise(view, ignore=ignore), messages) or (None, [])
    messages += more
    if memory is None:
        return StaticAdvice(rows, findings if sketch is not None else findings or None, messages=messages)
    answers = []
    if what_if and memory_limit_bytes is not None:
        from pipeprof.profiles.memory.ledger import what_ifs

        answers = what_ifs(view, memory, memory_limit_bytes)
    return StaticAdvice(rows, findings, memory, messages, answers)
