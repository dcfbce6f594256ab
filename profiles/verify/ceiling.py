"""Upper bounds: how fast the pipeline would be if a stage cost nothing. Pure functions.

Where no edit can exist, a Python function to be rewritten or records to be stored otherwise, replaying what the stage
gave proves that it is the cause. The bound is what a change there brings at most; no change is known to reach it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise, takewhile

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.changes.available import ways_of, why_no_replay
from pipeprof.pipelines.changes.edits import HandWritten, MoveFilter, MoveStage, ReplaceStages, stages_of
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.order import ordered
from pipeprof.profiles.document.findings import Facts, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.experiment.decision import LEAST_GAIN
from pipeprof.profiles.experiment.evidence import EDITED, Evidence
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.lines import (
    inside,
    is_outside_functions,
    line_of,
    lines_of,
    main_line,
    on_main_line,
    reader_of,
    stages_around,
    within,
    written_ops,
)
from pipeprof.profiles.propose.finding import MEASURED, finding_of
from pipeprof.profiles.propose.proposal import Proposal, tunes_process
from pipeprof.profiles.protocol.turns import ReplayJob, TurnEnded
from pipeprof.profiles.time.limits.cores import CPU_FROM
from pipeprof.profiles.time.top_stage import are_twins, as_one, top_cpu_groups, unknown_stages
from pipeprof.profiles.verify.alternatives import is_worth_a_try
from pipeprof.profiles.verify.bound_advice import Advice, add_save_lines, advice_for, advice_together, name_together
from pipeprof.profiles.verify.guessing.caching import stages_kept
from pipeprof.profiles.verify.judge_edit import WORTH, in_words
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.verify.trials import Trial
from pipeprof.profiles.wording import (
    AT_LEAST,
    LEFT,
    called,
    count,
    if_free,
    listed,
    milliseconds,
    ratio_text,
    significant,
    stage_name,
    stage_place,
)

BATCHES = 3
"""Batches for which a replay has elements."""
MOST_BYTES = 256_000_000
LIMIT_SHARE = 0.1
"""Of the memory limit that one replay may hold."""
MOST_IN_GROUP = 32
"""Inputs and outputs that are drawn together, where a stage takes no whole number of inputs for an output."""
PYTHON_FROM = 0.2
"""Share of the pipeline's work from which a stage with Python has its upper bound measured."""
_MUCH = 0.6
"""Of what a free pipeline would give: a change that reaches less leaves its stage's upper bound worth knowing."""
_REACHED = 0.8
"""Of what a pipeline without a stage would give: a change of the stage that gives as much is all there is to do."""
_MOST_OF_REPLAY = 0.5
"""Of the time of the steps that handing out the replay may take: what is left is known from a difference."""
_IN_STEP = "its device"
"""In advice that leaves the work to the step."""
_WIDEST = 8.0
"""The upper end of a bound's interval over its lower one, from which it says nothing."""
_PASSING = 0.95
"""Share of its elements that a filter passes whose decisions the few elements of a replay stand for."""
_WHOLE_SHARE = 0.5
"""Of the work of the main line: a stage with less is no bottleneck alone where others use the cores as much."""
_ABOUT_AS_COSTLY = 0.5
"""Of the work of a stage, from which one before it is replaced with it."""
_MANY_PARTS = 8
_LITTLE_LEFT = 0.5
"""Of what a batch takes without stages, below which other stages do not explain it."""
_FITS = 1.1
"""Of the CPU time that all cores have in the time that a bound leaves: as much is written."""
_INSIDE = 3
"""Ops that are named as what is inside a stage."""


def stages_to_replay(finding: Finding, stages: Iterable[Stage]) -> tuple[str, ...]:
    """The stages that its edit replaces, or its cache saves, else the finding's own; for one in a function its owner.

    Args:
        stages: All stages of the pipeline, in order.
    """
    stages = list(stages)
    named = {*stages_of(finding.edits), *stages_kept(finding.edits, stages)} or {finding.stage or ""} - {""}
    wanted = {next(one for one in (address, *stages_around(address)) if is_outside_functions(one)) for address in named}
    return tuple(stage.id for stage in stages if stage.origin == "written" and stage.id in wanted)


def with_twins(profile: Profile, stages: Sequence[str]) -> tuple[str, ...]:
    """Return a stage with those that the same line makes with the same function: a change of the code changes them all.

    Several stages, and one whose twins cannot be replayed, stay as they are.
    """
    every = profile.stages or ()
    named = [stage for stage in every if stage.id in stages]
    found = tuple(stage.id for stage in every if len(named) == 1 and are_twins([*named, stage]))
    return found if len(found) > 1 and _can_replay(profile, found) else tuple(stages)


def to_replay(profile: Profile, stages: Sequence[str]) -> tuple[str, ...]:
    """Return the stages to replace for the upper bound of some: those with their twins, up to a filter that drops.

    A filter that decides about a replay drops all or none of it, so that it is replaced with what it reads.
    """
    found = with_twins(profile, stages)
    after = [_to_filters(profile, address, found) for address in found]
    for many in range(max(map(len, after), default=0) + 1):
        more = {one for parts in after for part in parts[:many] for one in part}
        every = tuple(stage.id for stage in profile.stages or () if stage.id in {*found, *more})
        if _can_replay(profile, every):
            return every
    return found


def _to_filters(profile: Profile, address: str, found: Sequence[str]) -> list[list[str]]:
    """The stages that follow one on its line, in parts that end with a filter, up to the next one of `found`."""
    line = line_of(profile, address)
    place = next((place for place, stage in enumerate(line) if stage.id == address), len(line))
    parts: list[list[str]] = [[]]
    for stage in takewhile(lambda one: one.id not in found, line[place + 1 :]):
        parts[-1].append(stage.id)
        if traits(stage.op).predicate:
            parts.append([])
    return parts[:-1]


def further_bounds(profile: Profile, findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    """Return the stages whose upper bound is worth knowing although no finding names it, most work first.

    These are the bottleneck, and stages that run Python, where no change of them was kept, or none that reaches much of
    what a free pipeline would give the step, and there is something to do about them: a stage that only passes on what
    others make has no bound of its own.
    """
    line = main_line(profile)
    named = on_main_line(profile.verdict.stage) if profile.verdict is not None else None
    settling = ("kept", "ceiling") if _reaches_much(profile, findings) else ("ceiling",)
    settled = {
        address
        for finding in findings
        if finding.status in settling and finding.cache is None
        for address in _stages_of(finding, profile)
    } | {
        address
        for finding in findings
        if finding.measured is not None and "replayed" in finding.measured
        for replayed in finding.measured["replayed"]
        for address in (replayed, on_main_line(replayed))
    }
    settled |= {one for finding in findings if _replaces_more(finding, profile) for one in _stages_of(finding, profile)}
    found = [stage for stage in line if stage.id == named or _is_costly_python(stage)]
    found = [stage for stage in found if advice_for(profile, stage) is not None]
    found.sort(key=lambda stage: (stage.id != named, -(stage.share or 0.0)))
    single: list[tuple[str, ...]] = [(stage.id,) for stage in found if stage.id not in settled]
    together = _of_one_line(profile) or _unread(profile) or _together(profile, line, named)
    if not together or settled.intersection(together):
        return single
    around = {*together, *map(on_main_line, together)}
    return [together, *(stages for stages in single if stages[0] not in around)]


def _replaces_more(finding: Finding, profile: Profile) -> bool:
    """Whether lines with a predicted gain replace stages that no replay can: the bound of one of them is not theirs."""
    stages = stages_to_replay(finding, profile.stages or ())
    by_hand = bool(finding.edits) and all(isinstance(edit, HandWritten) for edit in finding.edits)
    predicted = finding.predicted is not None and finding.predicted.speedup is not None
    return by_hand and predicted and len(stages) > 1 and not _can_replay(profile, stages)


def _of_one_line(profile: Profile) -> tuple[str, ...]:
    """The stages that one line of the program makes with one function, the bottleneck among them.

    None where it is alone on the main line: then it is one of the stages there.
    """
    verdict, stages = profile.verdict, profile.stages or []
    named = next((stage for stage in stages if verdict is not None and stage.id == verdict.stage), None)
    twins = [stage for stage in stages if named is not None and are_twins([named, stage])]
    found = tuple(stage.id for stage in twins)
    if named is None or (len(found) == 1 and on_main_line(found[0]) == found[0]):
        return ()
    if sum(stage.share or 0.0 for stage in twins) < _WHOLE_SHARE:
        row = tuple(stage.id for twin in twins for stage in _with_costly_before(profile, twin))
        if _can_replay(profile, row):
            return row
    return found if advice_for(profile, named) and _can_replay(profile, found) else ()


def _with_costly_before(profile: Profile, stage: Stage) -> list[Stage]:
    """A stage with those in a row before it that call functions too, from the first that costs about as much."""
    line = line_of(profile, stage.id)
    row = list(takewhile(lambda one: traits(one.op).function is not None, reversed(line[: line.index(stage)])))
    while row and (row[-1].share or 0.0) < _ABOUT_AS_COSTLY * (stage.share or 0.0):
        row.pop()
    return [*reversed(row), stage]


def _unread(profile: Profile) -> tuple[str, ...]:
    """The stages of unknown cost where the bottleneck is among them: which of them it is, is not known."""
    epochs = profile.steps.epochs if profile.steps is not None else 0
    unknown = tuple(stage.id for stage in unknown_stages(profile.stages, epochs) if stage.origin == "written")
    named = profile.verdict.stage if profile.verdict is not None else None
    return unknown if unknown and named is None and _can_replay(profile, unknown) else ()


def _together(profile: Profile, line: Sequence[Stage], named: str | None) -> tuple[str, ...]:
    """The stages from the first to the last of those that use the cores about as much; none where one is alone."""
    members = [member.id for group in top_cpu_groups(profile.stages) for member in group.members]
    # What a function makes goes with the stage that calls it.
    costly = {on_main_line(one) if one.startswith("stages.") else one for one in members}
    places = [place for place, stage in enumerate(line) if stage.id in costly]
    if (named is not None and named not in costly) or len(places) < 2 or len(places) < len(costly):
        return ()
    if any((line[place].share or 0.0) >= _WHOLE_SHARE for place in places):
        return ()
    stages = tuple(stage.id for stage in line[places[0] : places[-1] + 1])
    return stages if _can_replay(profile, stages) else ()


def _can_replay(profile: Profile, stages: Sequence[str]) -> bool:
    return why_no_replay(written_ops(profile), stages, _all_passing(profile)) is None


def _all_passing(profile: Profile) -> list[str]:
    return [one for line in lines_of(profile.stages or ()).values() for one in passing_filters(line)]


def _reaches_much(profile: Profile, findings: Sequence[Finding]) -> bool:
    """Whether the best change comes near to a free pipeline; without a step there is nothing to come near to."""
    steps, headspace = profile.steps, profile.headspace
    if steps is None or steps.dispatch is None or headspace is None:
        return True
    every = (*(profile.findings or ()), *findings)
    kept = [one.measured or {} for one in every if one.status == "kept" and one.cache is None]
    return max((one.get("speedup") or 0.0 for one in kept), default=0.0) >= _MUCH * headspace.speedup


def _stages_of(finding: Finding, profile: Profile) -> tuple[str, ...]:
    own = on_main_line(finding.stage)
    return tuple({*stages_to_replay(finding, profile.stages or ()), *([own] if own is not None else [])})


def _left_less(finding: Finding, profile: Profile) -> set[str]:
    """The stages that a change removes or replaces, and those that one which drops elements is moved before."""
    found = set[str]()
    for edit in finding.edits:
        if isinstance(edit, ReplaceStages):
            found.update(edit.stages)
        elif isinstance(edit, MoveFilter) or (isinstance(edit, MoveStage) and traits(edit.op).drops):
            line = [stage.id for stage in line_of(profile, edit.stage)]
            found.update(
                line[line.index(edit.before) : line.index(edit.stage)] if {edit.before, edit.stage} <= {*line} else ()
            )
    return found


def is_reached(profile: Profile, bound: Finding, kept: Iterable[Finding]) -> bool:
    """Whether a kept change of the same stages has nearly all that an upper bound promises; a cache does not count."""
    most, replayed = (
        (bound.measured or {}).get("speedup") or math.inf,
        set((bound.measured or {}).get("replayed") or ()),
    )
    return any(
        one.status == "kept"
        and one.cache is None
        and ((one.measured or {}).get("speedup") or 0.0) >= _REACHED * most
        and not replayed.isdisjoint({*_stages_of(one, profile), *_left_less(one, profile)})
        for one in kept
    )


def drop_needless(profile: Profile, tried: Sequence[Finding], unhelpful: Sequence[Finding]) -> list[Finding]:
    """Drop the upper bounds of stages that a change has made about as fast as they can be, and needless findings.

    Args:
        tried: What was to be tried.
        unhelpful: Edits without a finding that did not help.

    Returns:
        The needless findings: they were not tried, and a proven change has removed, replaced or put elsewhere what
        they change.
    """
    findings = profile.findings or []
    for finding in findings:
        if finding.status == "ceiling":
            advise_again(profile, finding, [*findings, *tried, *unhelpful])
    proven = [finding for finding in findings if finding.status != "ceiling"]
    profile.findings = proven
    still = {stage for stages in further_bounds(profile, [*tried, *proven]) for stage in stages}
    kept = [finding for finding in proven if finding.status == "kept" and finding.cache is None]

    def is_needless(finding: Finding) -> bool:
        if finding.status != "ceiling":
            known = finding.predicted is not None and finding.predicted.speedup is not None
            is_open = finding.status == "unverified" and finding.measured is None and finding.family == "speed"
            return known and is_open and not is_worth_a_try(finding, kept)
        own = set((finding.measured or {}).get("replayed") or [finding.stage])
        return finding.rule == MEASURED and (is_reached(profile, finding, proven) or not still & own)

    needless = [finding for finding in findings if is_needless(finding)]
    profile.findings = [finding for finding in findings if all(finding is not one for one in needless)]
    return [finding for finding in needless if finding.status != "ceiling"]


def is_left_less(profile: Profile, addresses: Sequence[str]) -> bool:
    """Whether a proven change removes or replaces one of these stages, or drops elements before it."""
    kept = [one for one in profile.findings or () if one.status == "kept" and one.cache is None]
    return any(not _left_less(one, profile).isdisjoint({*addresses, *map(on_main_line, addresses)}) for one in kept)


def _is_costly_python(stage: Stage) -> bool:
    return runs_python(stage) and (stage.share or 0.0) >= PYTHON_FROM


def replay_job(profile: Profile, stages: Sequence[str], limit: int | None) -> ReplayJob | str:
    """Return what workers need to replay the outputs of stages, or why that is not possible, in words.

    Args:
        profile: Of the run: how many elements its stages gave is from it.
        limit: Memory limit in bytes.
    """
    written = written_ops(profile)
    passing = _all_passing(profile)
    reason = why_no_replay(written, stages, passing)
    if reason is not None:
        return reason
    taken = given = 0
    elements = {stage.id: stage.elements or 0 for stage in profile.stages or ()}
    for way, run in ways_of(dict(written), stages):
        first = [address for address, _ in way].index(run[0])
        taken += elements[way[first - 1][0]] if first else 0
        given += elements[run[-1]]
    steps = profile.steps.count if profile.steps is not None else 0
    inputs, outputs = _ratio(taken, given)
    most = MOST_BYTES if limit is None else min(MOST_BYTES, int(LIMIT_SHARE * limit))
    is_spec = profile.target.kind == "spec"
    return ReplayJob(
        stages=list(stages),
        batches=BATCHES,
        per_batch=given / steps if given and steps else None,
        inputs=inputs,
        outputs=outputs,
        most_bytes=most,
        ops=written_ops(profile) if is_spec else None,
        passing=passing,
    )


def passing_filters(line: Sequence[Stage]) -> list[str]:
    """Return the filters that passed nearly all elements: they do so with those of a replay."""
    return [
        stage.id
        for before, stage in pairwise(line)
        if traits(stage.op).predicate and (stage.elements or 0) >= _PASSING * (before.elements or math.inf)
    ]


def _ratio(taken: int | None, given: int | None) -> tuple[int, int]:
    """How many inputs a stage takes for how many outputs, in numbers small enough for one group.

    Example:
        >>> _ratio(3000, 2001), _ratio(10, 4000), _ratio(None, 7)
        ((3, 2), (1, 400), (0, 0))
    """
    if not taken or not given:
        return 0, 0
    if taken >= given:
        ratio = Fraction(taken, given).limit_denominator(MOST_IN_GROUP)
        return ratio.numerator, ratio.denominator
    ratio = Fraction(given, taken).limit_denominator(MOST_IN_GROUP)
    return ratio.denominator, ratio.numerator


@dataclass(frozen=True)
class Bound:
    """The machine's own upper bound, with the stages gone.

    Attributes:
        cpu_ms: CPU time per batch of everything else.
        cores_needed: Cores that the step would need for it; None without a step.
        conclusion: Where the cores are the limit, what that means, or what is left where stages account for little of
            it; else None.
    """

    cpu_ms: float
    cores_needed: float | None
    conclusion: str | None


def bound_of(profile: Profile, evidence: Evidence, settle_seconds: float, stages: Sequence[str]) -> Bound | None:
    """Return what the cores allow once the stages cost nothing; None where nothing was measured.

    A replay costs CPU time of its own: of the two sums of what is left, that of the replay and that of the run without
    the stages, the smaller one is everything else.

    Args:
        settle_seconds: Of each block, whose steps are not counted though their CPU time is.
        stages: That the replay has replaced.
    """
    blocks = [block for blocks in evidence.rounds for name, block in blocks.items() if name in EDITED]
    steps = sum(block.steps for block in blocks)
    seconds = sum(block.seconds for block in blocks)
    spent = sum(block.cpu_seconds for block in blocks)
    if not steps or not seconds or not spent:
        return None
    replay_ms = 1e3 * spent * seconds / (seconds + settle_seconds * len(blocks)) / steps
    rest_ms = _rest_of_cpu(profile, stages)
    cpu_ms, cores = replay_ms if rest_ms is None else min(replay_ms, rest_ms), profile.host.cores
    used = cpu_ms * steps / (1e3 * seconds)
    steps_of_run, headspace = profile.steps, profile.headspace
    step_ms: float | None = None
    if steps_of_run is not None and steps_of_run.dispatch is not None:
        busy = steps_of_run.busy_ms.mean if steps_of_run.busy_ms is not None else 0.0
        step_ms = headspace.replayed_ms if headspace is not None and headspace.replayed_ms > 0 else busy
    needed = cpu_ms / step_ms if step_ms else None
    others = [block for blocks in evidence.rounds for name, block in blocks.items() if name not in EDITED]
    as_it_is = sum(block.seconds for block in others) / max(1, sum(block.steps for block in others))
    interval_ms = steps_of_run.interval_ms.mean if steps_of_run is not None else 0.0
    # Of the run's own interval: the trial's processes may be faster or slower than it.
    left_ms = interval_ms * seconds / steps / as_it_is if as_it_is else 0.0
    if used < CPU_FROM * cores or (needed is not None and needed <= cores):
        return Bound(cpu_ms, needed, _opening_of_parts(profile, stages, left_ms))
    if needed is not None and step_ms is not None:
        text = f"then the cores are the limit: with a step of {milliseconds(step_ms)} the rest needs "
        return Bound(cpu_ms, needed, f"{text}{significant(needed, 2)} cores; this machine has {cores:g}")
    # A trial in slower processes than the run's may have needed more than there is in the time that the bound leaves.
    rest = f": the rest takes {milliseconds(cpu_ms)} of CPU per batch" if cpu_ms <= _FITS * cores * left_ms else ""
    return Bound(cpu_ms, None, f"then the cores are the limit{rest}")


def _opening_of_parts(profile: Profile, stages: Sequence[str], left_ms: float) -> str | None:
    """State what is left without stages in parts that are read in turn, where the work of other stages is little of it.

    TensorFlow makes the iterators of a part when it is reached: neither its model nor the trace has that as a stage's.

    Args:
        left_ms: Time per batch without the stages.
    """
    ops = {stage.id: stage.op for stage in profile.stages or ()}
    readers = [reader for address in stages if (reader := reader_of(pipeline_of(address))) is not None]
    in_turn = sum(traits(ops.get(reader, "")).cardinality == "sum" for reader in readers)
    # The first part is in the line that the others join.
    if in_turn < max(_MANY_PARTS, len(stages) - 1):
        return None
    others = [one for one in profile.stages or () if not any(one.id == own or within(one.id, own) for own in stages)]
    others_ms = sum(one.inside_ms or 0.0 for one in others)
    if others_ms > _LITTLE_LEFT * left_ms:
        return None
    return (
        f"{LEFT} {milliseconds(left_ms)}: other stages {milliseconds(others_ms)}, the rest probably "
        f"opening the {len(stages)} parts"
    )


def _rest_of_cpu(profile: Profile, stages: Sequence[str]) -> float | None:
    """Milliseconds of CPU time per batch of the run without stages and what is inside them; None where not known."""
    every = profile.stages or ()
    gone = {own.id: own.cpu_ms_per_batch for one in every if one.id in stages for own in (one, *inside(profile, one))}
    known = [cpu_ms for cpu_ms in gone.values() if cpu_ms is not None]
    if profile.cpu is None or not known:
        return None
    return max(0.0, profile.cpu.total_ms - sum(known))


def write_bound(finding: Finding, trial: Trial, stages: Sequence[str], bound: Bound | None, name: str) -> None:
    """Write into a finding what replaying its stages has shown.

    Args:
        name: What to call the stages.
    """
    judgement, evidence = trial.judgement, trial.evidence
    if judgement is None or evidence is None or judgement.speedup is None:
        finding.reason = f"no upper bound: {trial.reason.removeprefix('not tried: ')}"
        return
    speedup = judgement.speedup
    if _share_of_replay(evidence) > _MOST_OF_REPLAY:
        # The difference of two times that are nearly the same says nothing: what the replay takes itself counts then.
        evidence = _with_replay(evidence)
        least = evidence.speedup()
        few = len(evidence.ratios()) < QUICK.early
        if least is None or few or least.low <= 1 or least.high > _WIDEST * least.low:
            finding.reason = f"no upper bound: of the time without {name}, most is that of its replay"
            return
        ends = {"speedup": least.value, "low": least.low, "high": least.high}
        seen = {key: value for key, value in (evidence.measured() or {}).items() if key != "pairs"}
        finding.measured = {**seen, **{key: round(value, 4) for key, value in ends.items()}}
        finding.measured |= {AT_LEAST: True, "replayed": list(stages)}
        finding.status = "ceiling"
        finding.reason = f"{if_free(in_words(least), finding.measured, name)}, what it gives handed out"
        return
    measured: Facts = {**(evidence.measured() or {}), "replayed": list(stages)}
    if bound is not None:
        measured["other_cpu_ms_per_batch"] = round(bound.cpu_ms, 4)
        if bound.cores_needed is not None:
            measured["cores_needed"] = round(bound.cores_needed, 3)
        if bound.conclusion is not None:
            measured["conclusion"] = bound.conclusion
    finding.measured = measured
    if speedup.low > 1 and speedup.high > _WIDEST * speedup.low:
        within = f"{significant(speedup.low)}× and {significant(speedup.high)}×"
        finding.reason = f"no upper bound: without {name} it lies between {within}, too wide to say more"
    elif trial.status == "kept":
        finding.status = "ceiling"
        edit = "" if finding.python or finding.recommendation else "; no edit is known that reaches it"
        finding.reason = f"{if_free(in_words(speedup), measured, name)}{edit}"
    elif speedup.high < 1:
        finding.reason = f"no upper bound: {name} costs less than a replay of it, {in_words(speedup)}"
    elif speedup.high < WORTH:
        most = "no gain" if speedup.high < LEAST_GAIN else f"no more than {ratio_text(speedup.high)}"
        finding.status, finding.reason = "rejected", f"even without {name} {most}: {in_words(speedup)}"
    elif speedup.low > 1 and speedup.pairs >= QUICK.early:
        finding.reason = f"{if_free(in_words(speedup), measured, name)}, undecided"
    else:
        finding.reason = f"unknown upper bound of {name}: {trial.reason.removeprefix('undecided: ')}"


def _share_of_replay(evidence: Evidence) -> float:
    """How much of the time of steps with a replay, its own included, was taken as that of handing it out."""
    blocks = [block for blocks in evidence.rounds for name, block in blocks.items() if name in evidence.arm]
    own = sum(block.own_seconds for block in blocks)
    left = sum(block.seconds if block.wait_seconds is None else block.wait_seconds for block in blocks)
    return own / (own + left) if own else 0.0


def _with_replay(evidence: Evidence) -> Evidence:
    """The same blocks with the time of handing the replay out in them."""

    def whole(block: TurnEnded) -> TurnEnded:
        own, wait = block.own_seconds, block.wait_seconds
        waited = wait + own if wait is not None else None
        return replace(block, seconds=block.seconds + own, wait_seconds=waited, own_seconds=0.0)

    rounds = [{name: whole(block) for name, block in blocks.items()} for blocks in evidence.rounds]
    return replace(evidence, rounds=rounds)


def is_for_a_step_only(profile: Profile, finding: Finding) -> bool:
    """Whether all that is known about a stage is to do its work in the step, and there is no step to tell its price."""
    text = finding.change or finding.recommendation or ""
    without_step = profile.steps is not None and profile.steps.dispatch is None
    return without_step and not finding.python and bool(text) and all(_IN_STEP in part for part in text.split("; "))


def describe_open_bound(profile: Profile, finding: Finding) -> str:
    """State why stages have no upper bound that is a gain, with what to do there on a second line.

    Advice where a measurement shows no gain would be empty: there is none then.
    """
    stage = next((one for one in profile.stages or () if one.id == finding.stage), None)
    name = stage_name(stage) if stage is not None else finding.title
    if finding.status == "ceiling":
        advice = str(finding.recommendation)
        return f"{finding.reason}. {advice[:1].upper()}{advice[1:]}. A run with --step tells whether that pays"
    reason = str(finding.reason) if finding.measured is not None else f"{name}: {finding.reason}"
    shows_none = finding.measured is not None and (finding.measured.get("low") or 0.0) <= 1
    if finding.status != "unverified" or not finding.recommendation or shows_none:
        return reason
    place = (stage_place(stage) if stage is not None else None) or name
    return f"{reason}\n{place}   {finding.recommendation}"


def bottleneck_finding(profile: Profile, addresses: Sequence[str], tried: Sequence[Finding]) -> Finding:
    """Return the finding of stages whose upper bound is measured although no rule names them.

    Args:
        addresses: Of a stage, or of several that follow each other.
        tried: Findings whose edits were tried without gain, at any stage.
    """
    stages = [stage for stage in profile.stages or () if stage.id in addresses]
    name = name_together(stages)
    inner = inside_of([one for own in stages for one in (own, *inside(profile, own))])
    advice = _advice(profile, stages, tried)
    stage = (advice.stage if advice is not None else None) or stages[-1]
    at = [{finding.stage, on_main_line(finding.stage)} for finding in tried if finding.status == "rejected"]
    here = sum(not own.isdisjoint(addresses) for own in at)
    what = f"{here} change{'s' if here != 1 else ''} tried at {name}, none helped" if here else ""
    text = advice.text if advice is not None else ""
    return finding_of(
        Proposal(
            advice.title if advice is not None else name,
            text,
            stage=stage.id,
            location=stage.location,
            sentence=". ".join(part for part in (what, f"Inside: {inner}" if inner else "") if part) or None,
            recommendation=text,
        )
    )


def suspect_bottleneck(profile: Profile) -> None:
    """Add to the findings what can be done about the stage that a loop waits for, where nothing is to be tried.

    What a rule says about most of its work says more, unless it is about the process.
    """
    if profile.verdict is None or profile.verdict.bound != "input" or not profile.complete:
        return
    findings = list(profile.findings or ())
    for stages in further_bounds(profile, findings)[:1]:
        if told_by_rule(profile, stages, (one for one in findings if not tunes_process(one.edits))) is None:
            profile.findings = ordered([*findings, bottleneck_finding(profile, stages, ())])


def told_by_rule(profile: Profile, stages: Sequence[str], untried: Iterable[Finding]) -> Finding | None:
    """Return the finding of a rule about most of the work of stages: it says more than that they cost much.

    Args:
        stages: Addresses of the stages that a replay is to replace.
        untried: Findings whose change cannot be tried.
    """
    every = [one for one in profile.stages or () if any(one.id == own or within(one.id, own) for own in stages)]
    work = sum(one.share or 0.0 for one in every)
    for finding in untried:
        about = {*stages_of(finding.edits), finding.stage}
        own = sum(one.share or 0.0 for one in every if any(each in about for each in (one.id, *stages_around(one.id))))
        said = finding.python or finding.recommendation
        # What is wrong, such as a cache that is thrown away, may be what the work comes from.
        costs = finding.family == "speed" or (finding.family != "memory" and finding.predicted is not None)
        if finding.rule != MEASURED and costs and said and own >= _WHOLE_SHARE * work > 0:
            return finding
    return None


def advise_again(profile: Profile, finding: Finding, tried: Iterable[Finding]) -> None:
    """Leave out of the advice of an upper bound what was measured at its stage: without a gain, or it is known.

    Args:
        profile: The run in which the bound was measured.
        finding: An upper bound.
        tried: What was tried at any stage.
    """
    addresses = (finding.measured or {}).get("replayed") or [finding.stage]
    stages, tried = [one for one in profile.stages or () if one.id in addresses], list(tried)
    if not stages or finding.rule != MEASURED:
        return
    advice = _advice(profile, stages, tried)
    if advice == _advice(profile, stages, ()):
        return
    if advice is not None:
        stage = advice.stage or stages[-1]
        finding.title = advice.title
        finding.change = finding.recommendation = advice.text
        finding.stage, finding.location = stage.id, stage.location
        add_save_lines(profile, finding, [stage.id for stage in stages])


def _advice(profile: Profile, stages: Sequence[Stage], tried: Sequence[Finding]) -> Advice | None:
    """What to do about one stage, or about several that are replaced together."""
    return advice_together(profile, stages, tried) if len(stages) > 1 else advice_for(profile, stages[0], tried)


def inside_of(stages: Sequence[Stage]) -> str:
    """What takes the time inside stages, in words; empty where that is not known."""
    found: dict[str, float] = defaultdict(float)
    for stage in stages:
        for op in stage.ops or ():
            found[op.op] += op.ms_per_batch
        if stages[1:] and not stage.ops and not stage.python:
            # Its ops were not seen: all of it has its name.
            found[stage_name(stage)] += stage.inside_ms or 0.0
        elif stage.ops and stage.calling_ms_per_batch:
            times = f" {count(stage.calls_per_batch)} times" if stage.calls_per_batch and not stages[1:] else ""
            found[f"calling {'them' if stages[1:] else 'it'}{times}"] += stage.calling_ms_per_batch
    python = sorted(as_one(stages).python or (), key=lambda one: -one.ms_per_batch)[:_INSIDE]
    others = sum(stage.inside_ms or 0.0 for stage in stages) - sum(found.values())
    if not python and found and others > _WHOLE_SHARE * sum(stage.inside_ms or 0.0 for stage in stages):
        found[f"{'a loop of' if any(stage.loops for stage in stages) else 'other'} small ops and copies"] = others
    parts = [f"{name} {milliseconds(ms)}" for name, ms in sorted(found.items(), key=lambda one: -one[1]) if ms > 0]
    lines = [f"{called(one.function)} {milliseconds(one.ms_per_batch)}" for one in python if one.ms_per_batch > 0]
    text = [f"{listed(parts[:_INSIDE])} per batch"] if parts else []
    return ", ".join([*text, f"in Python {listed(lines)}"] if lines else text)
