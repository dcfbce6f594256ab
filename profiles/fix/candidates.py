"""What to try next on a measured pipeline: edits of findings, and parameters of stages with much work; pure functions.

None of them is taken unless it was measured to help.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    PipelineEdit,
    SetArgument,
    SetOption,
    TargetKind,
    stages_of,
    supports,
)
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.model.read import POOL_OPTION
from pipeprof.profiles.propose.finding import proposal_of
from pipeprof.profiles.propose.proposal import Proposal, Semantics, different, most_redrawn, strongest
from pipeprof.profiles.propose.queue import UNKNOWN_GAIN, Tried, in_order
from pipeprof.profiles.verify.expected import model_of
from pipeprof.profiles.verify.guessing.caching import LONGEST_EPOCH, filling
from pipeprof.profiles.verify.guessing.many_calls import (
    MOST_CALLS,
    PARALLEL_CALLS,
    WAITING_CALLS,
    draws,
    several_at_a_time,
    takes_calls,
    waits,
    words_of,
)
from pipeprof.profiles.verify.guessing.random_order import as_redrawn
from pipeprof.profiles.verify.guessing.search import guesses
from pipeprof.profiles.wording import stage_name

MUCH_WORK = 0.10
"""Share of the pipeline's work from which the parameters of a stage are tried."""
WORTH_IT = FLOOR
"""Share of a step that a free pipeline would save, from which a search begins: less is never proven to be a gain."""
TRIAL_SECONDS = 10.0
"""About the time that a change takes in a race."""
CALLS_PER_CORE = 8
"""Parallel calls per core that are tried where a stage computes, as well as fewer; `MOST_CALLS` at most.

Twice as many as the rule `serial-map-cpu` proposes. Measured on two cores: 16 calls give 5 % more than 8."""
EVERYTHING = "all proposed changes combined"
EVERYWHERE = "AUTOTUNE everywhere"


def candidates(
    profile: Profile,
    kind: TargetKind,
    allowed: Collection[Semantics],
    *,
    for_memory: bool = False,
    longest_epoch: float = LONGEST_EPOCH,
    trial_seconds: float = TRIAL_SECONDS,
    tried: Sequence[Tried] = (),
    data: Mapping[str, Any] | None = None,
) -> list[Proposal]:
    """Return what to try on a pipeline, most promising first.

    Args:
        for_memory: Memory is what the pipeline has too little of: what saves it comes first, else last.
        longest_epoch: Seconds of an epoch up to which a cache is among them.
        trial_seconds: Of measuring one of them, without the epoch in which a cache fills.
    """
    proposed = [
        *(
            as_redrawn(profile, proposal_of(finding))
            for finding in (*(profile.findings or ()), *profile.proposals)
            if can_be_tried(finding)
        ),
        *guesses(profile, data, longest_epoch=longest_epoch),
    ]
    worth_it = _is_worth_it(profile)
    expect = _model(profile)
    parameters = _parameters(profile) if worth_it else ()

    def seconds(candidate: Proposal) -> float:
        # The epoch in which a cache fills comes on top.
        return trial_seconds + filling(profile, candidate.edits).trial_seconds

    known = [expect(candidate) for candidate in (*proposed, *parameters)]
    # What is made of several is the same whatever was tried.
    known = in_order(known, seconds, proposal=lambda one: one)
    found = in_order(known, seconds, tried, proposal=lambda one: one)
    found[1:1] = [expect(candidate) for candidate in _with_prefetch(profile, known[:1])] if worth_it else []
    # A cache is tried on top of what gains in each epoch.
    worth = [one for one in known if not (one.for_memory or one.caches) and one.rule is not None]
    first = [_together(worth, allowed, kind), everywhere(profile) if worth_it else None]
    found = [*(expect(candidate) for candidate in first if candidate is not None), *found]
    found.sort(key=lambda candidate: candidate.for_memory != for_memory)
    return list(different(candidate for candidate in found if is_possible(candidate, kind, allowed)))


def can_be_tried(finding: Finding) -> bool:
    """Whether known edits make the change of a finding, and no try has rejected it."""
    return finding.is_known and finding.family != "correctness" and finding.status != "rejected"


def is_possible(candidate: Proposal, kind: TargetKind, allowed: Collection[Semantics]) -> bool:
    """Whether a change is allowed, and can be made in a target of that kind."""
    return candidate.effect in allowed and all(supports(edit, kind) for edit in candidate.edits)


def _model(profile: Profile) -> Callable[[Proposal], Proposal]:
    """Adds the model's prediction to what has none, where the model knows the edits."""
    predict = model_of(profile)

    def expect(candidate: Proposal) -> Proposal:
        found = predict(candidate.edits) if candidate.speedup is None else None
        return candidate if found is None else replace(candidate, predicted=found)

    return expect


def _is_worth_it(profile: Profile) -> bool:
    """Whether a faster pipeline would make the steps faster."""
    verdict, headspace = profile.verdict, profile.headspace
    if headspace is not None:
        return verdict is not None and headspace.share >= WORTH_IT
    return verdict is not None and verdict.bound != "step"


def _together(found: Sequence[Proposal], allowed: Collection[Semantics], kind: TargetKind) -> Proposal | None:
    """All changes at once that are about different stages."""
    chosen: list[Proposal] = []
    taken: set[str] = set()
    for candidate in found:
        stages = stages_of(candidate.edits)
        if is_possible(candidate, kind, allowed) and not stages & taken:
            chosen.append(candidate)
            taken |= stages
    if len(chosen) < 2:
        return None
    return Proposal(
        title=EVERYTHING,
        change="; ".join(candidate.change for candidate in chosen),
        edits=tuple(edit for candidate in chosen for edit in candidate.edits),
        semantics=strongest(candidate.effect for candidate in chosen),
        redrawn=most_redrawn(candidate.redrawn for candidate in chosen),
        predicted=max(
            (one.predicted for one in chosen if one.predicted), key=lambda one: one.speedup or 0.0, default=None
        ),
    )


def _with_prefetch(profile: Profile, best: Sequence[Proposal]) -> Iterator[Proposal]:
    """The most promising change with a prefetch at the end: what it leaves may overlap with the step."""
    line = main_line(profile)
    ahead = bool(line) and traits(line[-1].op).prefetches
    for candidate in best:
        inserts = any(isinstance(edit, InsertStage) and traits(edit.op).prefetches for edit in candidate.edits)
        if (candidate.speedup or 0.0) > UNKNOWN_GAIN and not ahead and not inserts:
            yield replace(
                candidate,
                title=f"{candidate.title}, with a prefetch at the end",
                change=f"{candidate.change}; insert prefetch({AUTOTUNE}) at the end",
                edits=(*candidate.edits, InsertStage("prefetch", {"buffer_size": AUTOTUNE}, None)),
                rule=None,
                predicted=None,
            )


def everywhere(profile: Profile) -> Proposal | None:
    """What a reader of TensorFlow's guide would write: AUTOTUNE in every stage that takes it, a prefetch at the end.

    Stages that have it are not named; None where all have it.
    """
    line = main_line(profile)
    parallel = [stage for stage in outside_functions(profile) if takes_calls(stage) and not stage.tunable]
    edits: list[PipelineEdit] = [SetArgument(stage.id, stage.op, PARALLEL_CALLS, AUTOTUNE) for stage in parallel]
    ahead = bool(line) and traits(line[-1].op).prefetches
    if line and not ahead:
        edits.append(InsertStage("prefetch", {"buffer_size": AUTOTUNE}, line[-1].id))
    if not edits:
        return None
    names = ", ".join(dict.fromkeys(stage_name(stage) for stage in parallel))
    parts = [f"{PARALLEL_CALLS}: AUTOTUNE in {names}"] if names else []
    parts += ["prefetch(AUTOTUNE) at the end"] if not ahead else []
    return Proposal(EVERYWHERE, ", ".join(parts), tuple(edits), draws(parallel))


def outside_functions(profile: Profile) -> list[Stage]:
    """The stages as written that no function of another stage makes: those of the inputs of a zip are among them."""
    written = [stage for stage in profile.stages or () if stage.origin == "written"]
    owners = [f"{stage.id}." for stage in written if traits(stage.op).nests]
    return [stage for stage in written if not any(stage.id.startswith(owner) for owner in owners)]


def _parameters(profile: Profile) -> Iterator[Proposal]:
    """A prefetch at the end, and numbers of the stages with much work, those with the most of it first."""
    cores = max(1, round(profile.host.cores or 1))
    named = profile.verdict.stage if profile.verdict is not None else None
    line, written = main_line(profile), [stage for stage in profile.stages or () if stage.origin == "written"]
    heavy = [stage for stage in written if stage.id == named or (stage.share or 0.0) >= MUCH_WORK]
    heavy = [stage for stage in sorted(heavy, key=lambda stage: -(stage.share or 0.0)) if takes_calls(stage)]
    yield from _pool(profile, [stage for stage in heavy if waits(stage)])
    if line and not traits(line[-1].op).prefetches:
        edit = InsertStage("prefetch", {"buffer_size": AUTOTUNE}, line[-1].id)
        yield Proposal("Prefetch at the end", f"insert prefetch({AUTOTUNE}) at the end", (edit,))
    if len(heavy) > 1:
        tuned = all(stage.tunable for stage in heavy)
        for number in (cores,) if tuned else (AUTOTUNE, cores):
            edits = tuple(SetArgument(stage.id, stage.op, PARALLEL_CALLS, number) for stage in heavy)
            names = " and ".join(dict.fromkeys(stage_name(stage) for stage in heavy))
            change = f"{PARALLEL_CALLS}: {number} in {len(heavy)} stages"
            yield Proposal(f"{PARALLEL_CALLS}={number} in {names}", change, edits, draws(heavy))
    for stage in heavy:
        yield from _calls(stage, cores)
    if line and traits(line[-1].op).prefetches:
        for size in (2, 8) if line[-1].tunable else (AUTOTUNE, 2, 8):
            yield _argument(line[-1], "buffer_size", size)
    if any(takes_calls(stage) and (stage.parallelism or 1.0) > 1.0 for stage in written):
        yield Proposal(
            "Let parallel stages give elements as they are ready",
            "options.deterministic: false",
            (SetOption("deterministic", False),),
            "order",
        )
    options = profile.options or {}
    pool = options.get(POOL_OPTION)
    if pool is not None and not isinstance(pool, bool) and 0 < pool < cores:
        yield Proposal(
            "Give the pipeline as many threads as there are cores",
            f"options.{POOL_OPTION}: {pool} → {cores}",
            (SetOption(POOL_OPTION, cores),),
        )
    if options.get("autotune.enabled") is False:
        yield Proposal(
            "Let tf.data choose its numbers",
            "options.autotune.enabled: false → true",
            (SetOption("autotune.enabled", True),),
        )


def _pool(profile: Profile, waiting: Sequence[Stage]) -> Iterator[Proposal]:
    """Many calls at a time in all stages that wait, and a thread for each: AUTOTUNE gives one for each core."""
    if not waiting:
        return
    edits = several_at_a_time(profile, waiting)
    names = " and ".join(dict.fromkeys(stage_name(stage) for stage in waiting))
    title = f"Many calls at a time in {names}, which waits"
    yield Proposal(title, words_of(edits), edits, draws(waiting))


def _calls(stage: Stage, cores: int) -> Iterator[Proposal]:
    """Numbers of calls at a time, most promising first."""
    waiting = waits(stage)
    sizes = [WAITING_CALLS if waiting else min(CALLS_PER_CORE * cores, MOST_CALLS), 2 * cores]
    now = stage.parallelism
    numbers: list[int | str] = [
        *([] if stage.tunable else [AUTOTUNE]),
        *([*sizes, cores] if waiting else [cores, *sizes]),
        2,
    ]
    for number in dict.fromkeys(numbers):
        if number not in {now, 1}:
            yield _argument(stage, PARALLEL_CALLS, number, draws([stage]))


def _argument(stage: Stage, name: str, value: int | str, semantics: Semantics = "same") -> Proposal:
    return Proposal(
        f"{name}={value} in {stage_name(stage)}",
        f"{name}: {value}",
        (SetArgument(stage.id, stage.op, name, value),),
        semantics,
        stage=stage.id,
    )
