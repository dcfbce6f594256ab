"""Upper bounds: how fast the pipeline would be if stages cost nothing. Pure functions.

Where no change can be made, a Python function to be rewritten or records to be stored otherwise, a pipeline that hands
out what stages gave proves that they are the cause: it is an entrant of the same race as changes. The bound is what a
change there brings at most; no change is known to reach it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, takewhile

from pipeprof.pipelines.changes.available import ways_of, why_no_replay
from pipeprof.pipelines.changes.edits import stages_of
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.bound_advice import WORTH, add_save_lines, advice_for, bottleneck_finding, name_together
from pipeprof.profiles.advise.facts.stages import pays, runs_python
from pipeprof.profiles.advise.order import ordered
from pipeprof.profiles.advise.proposal import Proposal, tunes_process
from pipeprof.profiles.document.findings import Facts, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.experiment.decision import LEAST_GAIN
from pipeprof.profiles.experiment.evidence import BASELINES, Evidence
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.lines import inside, line_of, lines_of, main_line, on_main_line, written_ops
from pipeprof.profiles.protocol.turns import ReplayJob, TurnEnded
from pipeprof.profiles.time.limits.cores import CPU_FROM
from pipeprof.profiles.time.top_stage import are_twins, top_cpu_groups, unknown_stages
from pipeprof.profiles.tries.combine import Contender, TriedChange
from pipeprof.profiles.tries.decide import comparisons, rates_of
from pipeprof.profiles.tries.race import RaceResult
from pipeprof.profiles.tries.result import in_words, reason_of
from pipeprof.profiles.wording import AT_LEAST, if_free, milliseconds, ratio_text, significant, stage_name, stage_place

BATCHES = 3
"""Batches for which a replay has elements."""
MOST_BYTES = 256_000_000
LIMIT_SHARE = 0.1
"""Of the memory limit that one replay may hold."""
MOST_IN_GROUP = 32
"""Inputs and outputs that are drawn together, where a stage takes no whole number of inputs for an output."""
PYTHON_FROM = 0.2
"""Share of the pipeline's work from which a stage with Python has its upper bound measured."""
MUCH = 0.6
"""Of what a free pipeline would give: a change that reaches less leaves its stage's upper bound worth knowing."""
REACHED = 0.8
"""Of what a pipeline without a stage would give: a change of the stage that gives as much is all there is to do."""
MOST_OF_REPLAY = 0.5
"""Of the time of the steps that handing out the replay may take: what is left is known from a difference."""
WIDEST = 8.0
"""The upper end of a bound's interval over its lower one, from which it says nothing."""
PASSING = 0.95
"""Share of its elements that a filter passes whose decisions the few elements of a replay stand for."""
WHOLE_SHARE = 0.5
"""Of the work of the main line: a stage with less is no bottleneck alone where others use the cores as much."""
ABOUT_AS_COSTLY = 0.5
"""Of the work of a stage, from which one before it is replaced with it."""
FITS = 1.1
"""Of the CPU time that all cores have in the time that a bound leaves: as much is written."""
_IN_STEP = "its device"
"""In advice that leaves the work to the step."""


# Which stages


def bounds_of(profile: Profile, limit: int | None) -> list[Contender]:
    """The upper bounds that are worth knowing: of the bottleneck, and of stages with much work in Python.

    A stage that only passes on what others make has none. Stages with the same work in one line, or made by one line of
    the program, are replaced together.

    Args:
        limit: Memory limit in bytes; None for none.
    """
    if not pays(profile):
        return []
    line = main_line(profile)
    named = on_main_line(profile.verdict.stage) if profile.verdict is not None else None
    single = [one for one in line if one.id == named or (runs_python(one) and (one.share or 0.0) >= PYTHON_FROM)]
    single = [one for one in single if advice_for(profile, one) is not None]
    single.sort(key=lambda one: (one.id != named, -(one.share or 0.0)))
    joined = _of_one_line(profile) or _unread(profile) or _together(profile, line, named)
    around = {*joined, *map(on_main_line, joined)}
    groups = [joined] if joined else []
    groups += [(one.id,) for one in single if one.id not in around]
    found = [(stages, _replayed(profile, stages)) for stages in groups]
    jobs = [(stages, _job(profile, replayed, limit)) for stages, replayed in found]
    return [
        Contender(Proposal(name_together(_stages(profile, stages)), stage=stages[0], covers=stages), job)
        for stages, job in jobs
        if job is not None
    ]


def _stages(profile: Profile, addresses: Iterable[str]) -> list[Stage]:
    known = set(addresses)
    return [stage for stage in profile.stages or () if stage.id in known]


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
    if sum(stage.share or 0.0 for stage in twins) < WHOLE_SHARE:
        row = tuple(stage.id for twin in twins for stage in _with_costly_before(profile, twin))
        if _can_replay(profile, row):
            return row
    return found if advice_for(profile, named) and _can_replay(profile, found) else ()


def _with_costly_before(profile: Profile, stage: Stage) -> list[Stage]:
    """A stage with those in a row before it that call functions too, from the first that costs about as much."""
    line = line_of(profile, stage.id)
    row = list(takewhile(lambda one: traits(one.op).function is not None, reversed(line[: line.index(stage)])))
    while row and (row[-1].share or 0.0) < ABOUT_AS_COSTLY * (stage.share or 0.0):
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
    if any((line[place].share or 0.0) >= WHOLE_SHARE for place in places):
        return ()
    stages = tuple(stage.id for stage in line[places[0] : places[-1] + 1])
    return stages if _can_replay(profile, stages) else ()


def _replayed(profile: Profile, stages: Sequence[str]) -> tuple[str, ...]:
    """The stages to replace for the bound of some: a single one with its twins, all up to a filter that drops.

    A filter that decides about a replay drops all or none of it, so that it is replaced with what it reads.
    """
    named = _stages(profile, stages)
    twins = tuple(one.id for one in profile.stages or () if len(named) == 1 and are_twins([*named, one]))
    found = twins if len(twins) > 1 and _can_replay(profile, twins) else tuple(stages)
    after = [_to_filters(profile, address, found) for address in found]
    for many in range(max(map(len, after), default=0) + 1):
        more = {one for parts in after for part in parts[:many] for one in part}
        every = tuple(stage.id for stage in _stages(profile, {*found, *more}))
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


def _can_replay(profile: Profile, stages: Sequence[str]) -> bool:
    return why_no_replay(written_ops(profile), stages, _passing(profile)) is None


def _passing(profile: Profile) -> list[str]:
    """The filters that passed nearly all elements: they do so with those of a replay."""
    return [
        stage.id
        for line in lines_of(profile.stages or ()).values()
        for before, stage in pairwise(line)
        if traits(stage.op).predicate and (stage.elements or 0) >= PASSING * (before.elements or float("inf"))
    ]


def _job(profile: Profile, stages: Sequence[str], limit: int | None) -> ReplayJob | None:
    """What workers need to hand out the outputs of stages; None where that is not possible."""
    if not _can_replay(profile, stages):
        return None
    taken = given = 0
    elements = {stage.id: stage.elements or 0 for stage in profile.stages or ()}
    for way, run in ways_of(dict(written_ops(profile)), stages):
        first = [address for address, _ in way].index(run[0])
        taken += elements[way[first - 1][0]] if first else 0
        given += elements[run[-1]]
    steps = profile.steps.count if profile.steps is not None else 0
    inputs, outputs = _ratio(taken, given)
    return ReplayJob(
        stages=list(stages),
        batches=BATCHES,
        per_batch=given / steps if given and steps else None,
        inputs=inputs,
        outputs=outputs,
        most_bytes=MOST_BYTES if limit is None else min(MOST_BYTES, int(LIMIT_SHARE * limit)),
        ops=written_ops(profile) if profile.target.kind == "spec" else None,
        passing=_passing(profile),
    )


def _ratio(taken: int, given: int) -> tuple[int, int]:
    """How many inputs a stage takes for how many outputs, in numbers small enough for one group; 0 where not known.

    Example:
        >>> _ratio(3000, 2001), _ratio(10, 4000), _ratio(0, 7)
        ((3, 2), (1, 400), (0, 0))
    """
    if not taken or not given:
        return 0, 0
    if taken >= given:
        return Fraction(taken, given).limit_denominator(MOST_IN_GROUP).as_integer_ratio()
    outputs, inputs = Fraction(given, taken).limit_denominator(MOST_IN_GROUP).as_integer_ratio()
    return inputs, outputs


def is_reached(profile: Profile, stages: Iterable[str], kept: Iterable[TriedChange], most: float | None = None) -> bool:
    """Whether a change of stages that gains in each epoch reaches what is left to gain there.

    Args:
        most: What a pipeline without the stages gives, where that was measured; else much of what a free pipeline
            would give is enough, and without a step, whatever it reaches.
    """
    steps, headspace, own = profile.steps, profile.headspace, _outside(stages)
    least = 0.0
    if most is not None:
        least = REACHED * most
    elif steps is not None and steps.dispatch is not None and headspace is not None:
        least = MUCH * headspace.speedup
    lasting = [one for one in kept if not one.proposal.caches]
    about = [one for one in lasting if own & _outside({*stages_of(one.proposal.edits), *one.proposal.stages})]
    return any(one.gain >= least for one in about)


def _outside(addresses: Iterable[str]) -> set[str | None]:
    """Stages, and those on the main line that they are inside of."""
    return {one for address in addresses for one in (address, on_main_line(address))}


# What it says


def bound_finding(profile: Profile, tried: TriedChange, others: Sequence[Finding], settle_seconds: float) -> Finding:
    """What an upper bound says, with what can be done about its stages.

    Args:
        others: What was tried at any stage: what did not help is no advice.
        settle_seconds: Of each block, whose steps are not counted though their CPU time is.
    """
    proposal, result = tried.proposal, tried.result
    finding = bottleneck_finding(profile, proposal.covers, others)
    replayed = tuple(tried.contender.replay.stages) if tried.contender.replay is not None else proposal.covers
    _write(profile, finding, result, (proposal.title, replayed), settle_seconds)
    add_save_lines(profile, finding, replayed)
    return finding


def _write(
    profile: Profile, finding: Finding, result: RaceResult, about: tuple[str, tuple[str, ...]], settle_seconds: float
) -> None:
    (name, stages), change, evidence = about, result.change, result.evidence
    if change is None or evidence is None:
        finding.reason = f"no upper bound: {reason_of(result).removeprefix('not tried: ')}"
        return
    if _share_of_replay(evidence) > MOST_OF_REPLAY:
        _write_least(finding, evidence, name, stages)
        return
    words = in_words(change)
    ends = {"speedup": change.value, "low": change.low, "high": change.high}
    finding.measured = {name: round(value, 4) for name, value in ends.items()}
    finding.measured |= {"pairs": [round(one, 4) for one in evidence.ratios()]}
    finding.measured |= {"replayed": list(stages), **_of_cores(profile, evidence, settle_seconds, stages)}
    if change.low > 1 and change.high > WIDEST * change.low:
        within = f"{significant(change.low)}× and {significant(change.high)}×"
        finding.reason = f"no upper bound: without {name} it lies between {within}, too wide to say more"
    elif result.status == "kept":
        finding.status = "ceiling"
        edit = "" if finding.python or finding.recommendation else "; no edit is known that reaches it"
        finding.reason = f"{if_free(words, finding.measured, name)}{edit}"
    elif change.high < 1:
        finding.reason = f"no upper bound: {name} costs less than a replay of it, {words}"
    elif change.high < WORTH:
        most = "no gain" if change.high < LEAST_GAIN else f"no more than {ratio_text(change.high)}"
        finding.status, finding.reason = "rejected", f"even without {name} {most}: {words}"
    elif change.low > 1:
        finding.reason = f"{if_free(words, finding.measured, name)}, undecided"
    else:
        finding.reason = f"unknown upper bound of {name}: {reason_of(result).removeprefix('undecided: ')}"


def _write_least(finding: Finding, evidence: Evidence, name: str, stages: Sequence[str]) -> None:
    """The difference of two times that are nearly the same says nothing: what the replay takes itself counts then."""
    whole = [{key: _whole(one) for key, one in blocks.items()} for blocks in evidence.rounds]
    compared = comparisons(rates_of(whole, [*BASELINES, *evidence.arm])).values()
    least = next((one.change for one in compared), None)
    if least is None or least.pairs < TRIES.early or least.low <= 1 or least.high > WIDEST * least.low:
        finding.reason = f"no upper bound: of the time without {name}, most is that of its replay"
        return
    ends = {"speedup": least.value, "low": least.low, "high": least.high}
    finding.measured = {key: round(value, 4) for key, value in ends.items()}
    finding.measured |= {AT_LEAST: True, "replayed": list(stages)}
    finding.status = "ceiling"
    finding.reason = f"{if_free(in_words(least), finding.measured, name)}, what it gives handed out"


def _share_of_replay(evidence: Evidence) -> float:
    """How much of the time of steps with a replay, its own included, was taken as that of handing it out."""
    blocks = [block for blocks in evidence.rounds for name, block in blocks.items() if name in evidence.arm]
    own = sum(block.own_seconds for block in blocks)
    left = sum(block.seconds if block.wait_seconds is None else block.wait_seconds for block in blocks)
    return own / (own + left) if own else 0.0


def _whole(block: TurnEnded) -> TurnEnded:
    """A block with the time of handing the replay out in it."""
    own, wait = block.own_seconds, block.wait_seconds
    waited = wait + own if wait is not None else None
    return replace(block, seconds=block.seconds + own, wait_seconds=waited, own_seconds=0.0)


def _of_cores(profile: Profile, evidence: Evidence, settle_seconds: float, stages: Sequence[str]) -> Facts:
    """The machine's own upper bound once stages cost nothing: the CPU time of the rest, and where it is the limit.

    A replay costs CPU time of its own: of the two sums of what is left, that of the replay and that of the run without
    the stages, the smaller one is everything else.
    """
    blocks = [block for blocks in evidence.rounds for name, block in blocks.items() if name in evidence.arm]
    others = [block for blocks in evidence.rounds for name, block in blocks.items() if name in evidence.base]
    steps, seconds = sum(block.steps for block in blocks), sum(block.seconds for block in blocks)
    spent, cores = sum(block.cpu_seconds for block in blocks), profile.host.cores
    if not steps or not seconds or not spent:
        return {}
    replay_ms = 1e3 * spent * seconds / (seconds + settle_seconds * len(blocks)) / steps
    rest_ms = _rest_of_cpu(profile, stages)
    cpu_ms = replay_ms if rest_ms is None else min(replay_ms, rest_ms)
    found: Facts = {"other_cpu_ms_per_batch": round(cpu_ms, 4)}
    run, headspace = profile.steps, profile.headspace
    step_ms: float | None = None
    if run is not None and run.dispatch is not None:
        busy = run.busy_ms.mean if run.busy_ms is not None else 0.0
        step_ms = headspace.replayed_ms if headspace is not None and headspace.replayed_ms > 0 else busy
    needed = cpu_ms / step_ms if step_ms else None
    if needed is not None:
        found["cores_needed"] = round(needed, 3)
    if cpu_ms * steps / (1e3 * seconds) < CPU_FROM * cores or (needed is not None and needed <= cores):
        return found
    if needed is not None and step_ms is not None:
        text = f"then the cores are the limit: with a step of {milliseconds(step_ms)} the rest needs "
        return {**found, "conclusion": f"{text}{significant(needed, 2)} cores; this machine has {cores:g}"}
    # Of the run's own interval: the processes of the race may be faster or slower than it, and have needed more.
    as_it_is = sum(block.seconds for block in others) / max(1, sum(block.steps for block in others))
    interval_ms = (run.interval_ms.mean or 0.0) if run is not None and run.interval_ms is not None else 0.0
    left_ms = interval_ms * seconds / steps / as_it_is if as_it_is else 0.0
    rest = f": the rest takes {milliseconds(cpu_ms)} of CPU per batch" if cpu_ms <= FITS * cores * left_ms else ""
    return {**found, "conclusion": f"then the cores are the limit{rest}"}


def _rest_of_cpu(profile: Profile, stages: Sequence[str]) -> float | None:
    """Milliseconds of CPU time per batch of the run without stages and what is inside them; None where not known."""
    gone = {own.id: own.cpu_ms_per_batch for one in _stages(profile, stages) for own in (one, *inside(profile, one))}
    known = [cpu_ms for cpu_ms in gone.values() if cpu_ms is not None]
    return max(0.0, profile.cpu.total_ms - sum(known)) if profile.cpu is not None and known else None


def suspect_bottleneck(profile: Profile) -> None:
    """Add to the findings what can be done about the stage that a loop waits for, where nothing is to be tried.

    What a finding says about one of these stages says more, unless it is about memory or the process.
    """
    if profile.verdict is None or profile.verdict.bound != "input" or not profile.complete:
        return
    findings = list(profile.findings or ())
    for bound in bounds_of(profile, None)[:1]:
        own = _outside(bound.proposal.covers)
        told = [one for one in findings if one.family != "memory" and not tunes_process(one.edits)]
        if not any((one.python or one.recommendation) and own & _outside([one.stage or ""]) for one in told):
            profile.findings = ordered([*findings, bottleneck_finding(profile, bound.proposal.covers, ())])


def is_for_a_step_only(profile: Profile, finding: Finding) -> bool:
    """Whether all that is known about a stage is to do its work in the step, and there is no step to tell its price."""
    text = finding.change or finding.recommendation or ""
    without_step = profile.steps is not None and profile.steps.dispatch is None
    return without_step and not finding.python and bool(text) and all(_IN_STEP in part for part in text.split("; "))


def open_bound(profile: Profile, finding: Finding) -> str:
    """State why stages have no upper bound that is a gain, with what to do there on a second line.

    Advice where a measurement shows no gain would be empty: there is none then.
    """
    stage = next(iter(_stages(profile, [finding.stage or ""])), None)
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
