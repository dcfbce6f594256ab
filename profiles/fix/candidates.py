"""What to try next on a measured pipeline: edits of findings, and parameters of stages with much work; pure functions.

None of them is taken unless it was measured to help.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeprof.pipelines.edits.edits import InsertStage, PipelineEdit, SetArgument, SetOption, from_document, stages_of
from pipeprof.pipelines.edits.support import TargetKind, supports
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Semantics
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.experiment.jobs import edits_of
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.model.calibration import costs_of
from pipeprof.profiles.model.predict import predicted_of
from pipeprof.profiles.model.read import POOL_OPTION, flow_of
from pipeprof.profiles.verify.guessing.caching import LONGEST_EPOCH
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
from pipeprof.profiles.verify.guessing.random_order import in_random_order
from pipeprof.profiles.verify.guessing.search import guesses
from pipeprof.profiles.wording import stage_name

CLASSES: tuple[Semantics, ...] = ("same", "order", "randomness", "values")
MUCH_WORK = 0.10
"""Share of the pipeline's work from which the parameters of a stage are tried."""
WORTH_IT = FLOOR
"""Share of a step that a free pipeline would save, from which a search begins: less is never proven to be a gain."""
UNKNOWN_GAIN = 1.1
"""Taken to be the factor of what no prediction knows: it is tried after what is predicted to help more."""
CALLS_PER_CORE = 8
"""Parallel calls per core that are tried where a stage computes, as well as fewer; `MOST_CALLS` at most.

Twice as many as the rule `serial-map-cpu` proposes. Measured on two cores: 16 calls give 5 % more than 8."""
EVERYTHING = "all changes of the findings together"
EVERYWHERE = "AUTOTUNE everywhere"


@dataclass(frozen=True)
class Candidate:
    """A step that may be taken.

    Attributes:
        edits: On the pipeline that it was found for.
        semantics: What it may change of the data.
        random_order: It changes an order that is drawn anew in each epoch anyway.
        for_memory: Whether it is to save memory, not time.
        rule: Of the finding that proposes it, if one does.
        stage: Address of the stage that it is about.
        predicted: Steps per second with it over without, where that is known.
        measured: The same as an earlier run of the same pipeline measured it, with its interval; None without.
    """

    title: str
    change: str
    edits: tuple[PipelineEdit, ...]
    semantics: Semantics = "same"
    for_memory: bool = False
    rule: str | None = None
    stage: str | None = None
    predicted: float | None = None
    measured: tuple[float, float, float | None] | None = None
    random_order: bool = False

    @property
    def compared_as(self) -> Semantics:
        """The class by which its data are compared with those of the pipeline as it is."""
        return "order" if self.random_order and self.semantics == "same" else self.semantics

    @property
    def key(self) -> str:
        """What it is on any version of the pipeline: stages have other addresses there."""
        ops = sorted(getattr(edit, "op", type(edit).__name__) for edit in self.edits)
        return f"{self.title}|{self.change}|{','.join(ops)}"


def candidates(
    profile: Profile,
    kind: TargetKind,
    allowed: Collection[Semantics],
    *,
    for_memory: bool = False,
    longest_epoch: float = LONGEST_EPOCH,
    data: Mapping[str, Any] | None = None,
) -> list[Candidate]:
    """Return what to try on a pipeline, most promising first.

    Args:
        profile: Of a complete run of it, with its findings.
        allowed: What the changes may change of the data.
        for_memory: Memory is what the pipeline has too little of: what saves it comes first, else last.
        longest_epoch: Seconds of an epoch up to which a cache is among them.
    """
    proposed = [
        candidate
        for finding in (
            *(profile.findings or ()),
            *profile.proposals,
            *guesses(profile, data, longest_epoch=longest_epoch),
        )
        if (candidate := of_finding(in_random_order(profile, finding))) is not None
    ]
    worth_it = _is_worth_it(profile)
    expect = _model(profile)
    parameters = _parameters(profile) if worth_it else ()
    found = [expect(candidate) for candidate in (*proposed, *parameters)]
    found.sort(key=lambda candidate: -_promise(candidate))
    found[1:1] = [expect(candidate) for candidate in _with_prefetch(profile, found[:1])] if worth_it else []
    worth = [candidate for candidate in found if not candidate.for_memory and candidate.rule is not None]
    first = [_together(worth, allowed, kind), everywhere(profile) if worth_it else None]
    found = [*(expect(candidate) for candidate in first if candidate is not None), *found]
    found.sort(key=lambda candidate: candidate.for_memory != for_memory)
    return list(different(candidate for candidate in found if is_possible(candidate, kind, allowed)))


def allowed_classes(names: Collection[Semantics]) -> frozenset[Semantics]:
    """The classes that ``--allow`` names, and the one that changes nothing."""
    return frozenset({"same", *names})


def is_possible(candidate: Candidate, kind: TargetKind, allowed: Collection[Semantics]) -> bool:
    """Whether a change is allowed, and can be made in a target of that kind."""
    return candidate.semantics in allowed and all(supports(edit, kind) for edit in candidate.edits)


def different(found: Iterable[Candidate]) -> Iterator[Candidate]:
    """Leave out those that do what an earlier one does."""
    seen: list[tuple[PipelineEdit, ...]] = []
    for candidate in found:
        if candidate.edits not in seen:
            seen.append(candidate.edits)
            yield candidate


def _promise(candidate: Candidate) -> float:
    """What decides about the order: the predicted gain; a small one where it is not known; memory comes last."""
    if candidate.for_memory:
        return 0.0
    return candidate.predicted if candidate.predicted is not None else UNKNOWN_GAIN


def _model(profile: Profile) -> Callable[[Candidate], Candidate]:
    """Adds the model's prediction to what has none, where the model knows the edits."""
    flow = flow_of(profile)
    costs = costs_of(profile)

    def expect(candidate: Candidate) -> Candidate:
        if candidate.predicted is not None or flow is None:
            return candidate
        expected = predicted_of(flow, candidate.edits, costs)
        return candidate if expected is None else replace(candidate, predicted=expected.speedup)

    return expect


def of_finding(finding: Finding) -> Candidate | None:
    """The change that a finding proposes; None where no known edit makes it, or a try has rejected it."""
    edits = [from_document(edit.model_dump()) for edit in edits_of(finding)]
    known = tuple(edit for edit in edits if edit is not None)
    if not known or len(known) < len(edits) or finding.family == "correctness" or finding.status == "rejected":
        return None
    return Candidate(
        title=finding.title,
        change=finding.change or finding.title,
        edits=known,
        semantics=finding.semantics or "same",
        random_order=finding.random_order,
        for_memory=finding.family == "memory",
        rule=finding.rule,
        stage=finding.stage,
        predicted=finding.predicted.speedup if finding.predicted is not None else None,
    )


def _is_worth_it(profile: Profile) -> bool:
    """Whether a faster pipeline would make the steps faster."""
    verdict, headspace = profile.verdict, profile.headspace
    if headspace is not None:
        return verdict is not None and headspace.share >= WORTH_IT
    return verdict is not None and verdict.bound != "step"


def _together(found: Sequence[Candidate], allowed: Collection[Semantics], kind: TargetKind) -> Candidate | None:
    """All changes at once that are about different stages."""
    chosen: list[Candidate] = []
    taken: set[str] = set()
    for candidate in found:
        stages = stages_of(candidate.edits)
        if is_possible(candidate, kind, allowed) and not stages & taken:
            chosen.append(candidate)
            taken |= stages
    if len(chosen) < 2:
        return None
    predictions = [candidate.predicted for candidate in chosen if candidate.predicted is not None]
    return Candidate(
        title=EVERYTHING,
        change="; ".join(candidate.change for candidate in chosen),
        edits=tuple(edit for candidate in chosen for edit in candidate.edits),
        semantics=max((candidate.semantics for candidate in chosen), key=CLASSES.index),
        random_order=any(candidate.random_order for candidate in chosen),
        predicted=max(predictions, default=None),
    )


def _with_prefetch(profile: Profile, best: Sequence[Candidate]) -> Iterator[Candidate]:
    """The most promising change with a prefetch at the end: what it leaves may overlap with the step."""
    line = main_line(profile)
    ahead = bool(line) and traits(line[-1].op).prefetches
    for candidate in best:
        inserts = any(isinstance(edit, InsertStage) and traits(edit.op).prefetches for edit in candidate.edits)
        if _promise(candidate) > UNKNOWN_GAIN and not ahead and not inserts:
            yield replace(
                candidate,
                title=f"{candidate.title}, with a prefetch at the end",
                change=f"{candidate.change}; insert prefetch({AUTOTUNE}) at the end",
                edits=(*candidate.edits, InsertStage("prefetch", {"buffer_size": AUTOTUNE}, None)),
                rule=None,
                predicted=None,
            )


def everywhere(profile: Profile) -> Candidate | None:
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
    return Candidate(EVERYWHERE, ", ".join(parts), tuple(edits), draws(parallel))


def outside_functions(profile: Profile) -> list[Stage]:
    """The stages as written that no function of another stage makes: those of the inputs of a zip are among them."""
    written = [stage for stage in profile.stages or () if stage.origin == "written"]
    owners = [f"{stage.id}." for stage in written if traits(stage.op).nests]
    return [stage for stage in written if not any(stage.id.startswith(owner) for owner in owners)]


def _parameters(profile: Profile) -> Iterator[Candidate]:
    """A prefetch at the end, and numbers of the stages with much work, those with the most of it first."""
    cores = max(1, round(profile.host.cores or 1))
    named = profile.verdict.stage if profile.verdict is not None else None
    line, written = main_line(profile), [stage for stage in profile.stages or () if stage.origin == "written"]
    heavy = [stage for stage in written if stage.id == named or (stage.share or 0.0) >= MUCH_WORK]
    heavy = [stage for stage in sorted(heavy, key=lambda stage: -(stage.share or 0.0)) if takes_calls(stage)]
    yield from _pool(profile, [stage for stage in heavy if waits(stage)])
    if line and not traits(line[-1].op).prefetches:
        edit = InsertStage("prefetch", {"buffer_size": AUTOTUNE}, line[-1].id)
        yield Candidate("Prefetch at the end", f"insert prefetch({AUTOTUNE}) at the end", (edit,))
    if len(heavy) > 1:
        tuned = all(stage.tunable for stage in heavy)
        for number in (cores,) if tuned else (AUTOTUNE, cores):
            edits = tuple(SetArgument(stage.id, stage.op, PARALLEL_CALLS, number) for stage in heavy)
            names = " and ".join(dict.fromkeys(stage_name(stage) for stage in heavy))
            change = f"{PARALLEL_CALLS}: {number} in {len(heavy)} stages"
            yield Candidate(f"{PARALLEL_CALLS}={number} in {names}", change, edits, draws(heavy))
    for stage in heavy:
        yield from _calls(stage, cores)
    if line and traits(line[-1].op).prefetches:
        for size in (2, 8) if line[-1].tunable else (AUTOTUNE, 2, 8):
            yield _argument(line[-1], "buffer_size", size)
    if any(takes_calls(stage) and (stage.parallelism or 1.0) > 1.0 for stage in written):
        yield Candidate(
            "Let parallel stages give elements as they are ready",
            "options.deterministic: false",
            (SetOption("deterministic", False),),
            "order",
        )
    options = profile.options or {}
    pool = options.get(POOL_OPTION)
    if pool is not None and not isinstance(pool, bool) and 0 < pool < cores:
        yield Candidate(
            "Give the pipeline as many threads as there are cores",
            f"options.{POOL_OPTION}: {pool} → {cores}",
            (SetOption(POOL_OPTION, cores),),
        )
    if options.get("autotune.enabled") is False:
        yield Candidate(
            "Let tf.data choose its numbers",
            "options.autotune.enabled: false → true",
            (SetOption("autotune.enabled", True),),
        )


def _pool(profile: Profile, waiting: Sequence[Stage]) -> Iterator[Candidate]:
    """Many calls at a time in all stages that wait, and a thread for each: AUTOTUNE gives one for each core."""
    if not waiting:
        return
    edits = several_at_a_time(profile, waiting)
    names = " and ".join(dict.fromkeys(stage_name(stage) for stage in waiting))
    title = f"Many calls at a time in {names}, which waits"
    yield Candidate(title, words_of(edits), edits, draws(waiting))


def _calls(stage: Stage, cores: int) -> Iterator[Candidate]:
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


def _argument(stage: Stage, name: str, value: int | str, semantics: Semantics = "same") -> Candidate:
    return Candidate(
        f"{name}={value} in {stage_name(stage)}",
        f"{name}: {value}",
        (SetArgument(stage.id, stage.op, name, value),),
        semantics,
        stage=stage.id,
    )
