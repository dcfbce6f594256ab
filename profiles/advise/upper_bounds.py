"""Which stages' upper bounds are worth knowing: pure functions.

Where no change can be made, a Python function to be rewritten or records to be stored otherwise, a pipeline that hands
out what stages gave proves that they are the cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise, takewhile

from pipeprof.pipelines.changes.chain import Replay, ways_of, why_no_replay
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.facts.caching import runs_python
from pipeprof.profiles.advise.order import ordered
from pipeprof.profiles.advise.proposal import Proposal, tunes_process
from pipeprof.profiles.advise.text.bound_advice import advice_for, around, bottleneck_finding, name_together, stages_at
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import lines_of, main_line, on_main_line, written_ops
from pipeprof.profiles.time.top_stage import are_twins, top_cpu_groups, unknown_stages
from pipeprof.profiles.time.verdict import is_free

BATCHES = 3
"""Batches for which a replay has elements."""
MOST_BYTES = 256_000_000
LIMIT_SHARE = 0.1
"""Of the memory limit that one replay may hold."""
MOST_IN_GROUP = 32
"""Inputs and outputs that are drawn together, where a stage takes no whole number of inputs for an output."""
PYTHON_FROM = 0.2
"""Share of the pipeline's work from which a stage with Python has its upper bound measured."""
PASSING = 0.95
"""Share of its elements that a filter passes whose decisions the few elements of a replay stand for."""
WHOLE_SHARE = 0.5
"""Of the work of the main line: a stage with less is no bottleneck alone where others use the cores as much."""
ABOUT_AS_COSTLY = 0.5
"""Of the work of a stage, from which one before it is replaced with it."""


def upper_bounds(profile: Profile, limit: int | None) -> list[tuple[Proposal, Replay]]:
    """The upper bounds that are worth knowing: of the bottleneck, and of stages with much work in Python.

    A stage that only passes on what others make has none. Stages with the same work in one line, or made by one line of
    the program, are replaced together. `limit` is that of memory, in bytes.
    """
    verdict = profile.verdict
    if verdict is None or verdict.bound not in {"input", "balanced"} or is_free(profile):
        return []
    line, named = main_line(profile), on_main_line(verdict.stage)
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
        (Proposal(name_together(stages_at(profile, job.stages)), stage=stages[0], covers=stages), job)
        for stages, job in jobs
        if job is not None
    ]


def _of_one_line(profile: Profile) -> tuple[str, ...]:
    """The stages that one line of the program makes, the bottleneck among them; none if it is on the main line."""
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
    before, _ = around(profile, stage.id)
    row = list(takewhile(lambda one: traits(one.op).function is not None, reversed(before)))
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
    named = stages_at(profile, stages)
    twins = tuple(one.id for one in profile.stages or () if len(named) == 1 and are_twins([*named, one]))
    found = twins if len(twins) > 1 and _can_replay(profile, twins) else tuple(stages)
    after = [_to_filters(profile, address, found) for address in found]
    for many in range(max(map(len, after), default=0) + 1):
        more = {one for parts in after for part in parts[:many] for one in part}
        every = tuple(stage.id for stage in stages_at(profile, {*found, *more}))
        if _can_replay(profile, every):
            return every
    return found


def _to_filters(profile: Profile, address: str, found: Sequence[str]) -> list[list[str]]:
    """The stages that follow one on its line, in parts that end with a filter, up to the next one of `found`."""
    parts: list[list[str]] = [[]]
    for stage in takewhile(lambda one: one.id not in found, around(profile, address)[1]):
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


def _job(profile: Profile, stages: Sequence[str], limit: int | None) -> Replay | None:
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
    return Replay(
        stages=tuple(stages),
        batches=BATCHES,
        per_batch=given / steps if given and steps else None,
        inputs=inputs,
        outputs=outputs,
        most_bytes=MOST_BYTES if limit is None else min(MOST_BYTES, int(LIMIT_SHARE * limit)),
        passing=tuple(_passing(profile)),
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


def suspect_bottleneck(profile: Profile) -> None:
    """Add to the findings what can be done about the stage that a loop waits for, where nothing is to be tried.

    What a finding says about one of these stages says more, unless it is about memory or the process.
    """
    if profile.verdict is None or profile.verdict.bound != "input" or not profile.complete:
        return
    findings = list(profile.findings or ())
    for proposal, _ in upper_bounds(profile, None)[:1]:
        own, finding = outside_of(proposal.covers), bottleneck_finding(profile, proposal.covers, ())
        told = [one for one in findings if one.family != "memory" and not tunes_process(one.edits)]
        more = any((one.python or one.recommendation) and own & outside_of([one.stage or ""]) for one in told)
        if finding.recommendation and not more:
            profile.findings = ordered([*findings, finding])


def outside_of(addresses: Iterable[str]) -> set[str | None]:
    """Stages, and those on the main line that they are inside of."""
    return {one for address in addresses for one in (address, on_main_line(address))}
