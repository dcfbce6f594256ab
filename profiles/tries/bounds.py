"""Upper bounds: how fast the pipeline would be if stages cost nothing, measured in the race of the changes.

The bound is what a change there brings at most; no change is known to reach it. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeprof.pipelines.changes.edits import stages_of
from pipeprof.profiles.advise.text.bound_advice import WORTH, add_save_lines, bottleneck_finding, stages_at
from pipeprof.profiles.advise.upper_bounds import outside_of
from pipeprof.profiles.document.findings import Facts, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.decision import LEAST_GAIN
from pipeprof.profiles.experiment.evidence import BASELINES, Evidence
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.lines import inside
from pipeprof.profiles.protocol.turns import TurnEnded
from pipeprof.profiles.time.flow import step_alone_ms
from pipeprof.profiles.time.verdict import LIMIT_FROM
from pipeprof.profiles.tries.combine import TriedChange
from pipeprof.profiles.tries.decide import comparisons, rates_of
from pipeprof.profiles.tries.race import RaceResult
from pipeprof.profiles.tries.result import ends_of, gain_in_words, reason_of
from pipeprof.profiles.wording import AT_LEAST, if_free, milliseconds, ratio_text, significant, stage_name, stage_place

MUCH = 0.6
"""Of what a free pipeline would give: a change that reaches less leaves its stage's upper bound worth knowing."""
REACHED = 0.8
"""Of what a pipeline without a stage would give: a change of the stage that gives as much is all there is to do."""
MOST_OF_REPLAY = 0.5
"""Of the time of the steps that handing out the replay may take: what is left is known from a difference."""
WIDEST = 8.0
"""The upper end of a bound's interval over its lower one, from which it says nothing."""
_IN_STEP = "its device"
"""In advice that leaves the work to the step."""


def is_reached(profile: Profile, stages: Iterable[str], kept: Iterable[TriedChange], most: float | None = None) -> bool:
    """Whether a change of stages that gains in each epoch reaches what is left to gain there.

    Args:
        most: What a pipeline without the stages gives, where that was measured; else much of what a free pipeline
            would give is enough, and without a step, whatever it reaches.
    """
    steps, headspace, own = profile.steps, profile.headspace, outside_of(stages)
    least = 0.0
    if most is not None:
        least = REACHED * most
    elif steps is not None and steps.dispatch is not None and headspace is not None:
        least = MUCH * headspace.speedup
    lasting = [one for one in kept if not one.proposal.caches]
    about = [one for one in lasting if own & outside_of({*stages_of(one.proposal.edits), *one.proposal.stages})]
    return any(one.gain >= least for one in about)


# What it says


def bound_finding(profile: Profile, tried: TriedChange, others: Sequence[Finding], settle_seconds: float) -> Finding:
    """What an upper bound says, with what can be done there that was not tried; blocks settle for some seconds."""
    proposal, result = tried.proposal, tried.result
    finding = bottleneck_finding(profile, proposal.covers, others)
    replayed = tuple(tried.contender.replay.stages) if tried.contender.replay is not None else proposal.covers
    if len(replayed) > len(proposal.covers):
        finding.title = f"Make {proposal.title} cheaper"
    _write(profile, finding, result, (proposal.title, replayed), settle_seconds)
    add_save_lines(profile, finding, replayed)
    return finding


def _write(
    profile: Profile, finding: Finding, result: RaceResult, about: tuple[str, tuple[str, ...]], settle_seconds: float
) -> None:
    (name, stages), change, evidence = about, result.change, result.evidence
    if change is None or evidence is None:
        finding.reason = f"{name}: no upper bound: {reason_of(result).removeprefix('not tried: ')}"
        return
    if _share_of_replay(evidence) > MOST_OF_REPLAY:
        _write_least(finding, evidence, name, stages)
        return
    words = gain_in_words(change)
    finding.measured = {**ends_of(change), "pairs": [round(one, 4) for one in evidence.ratios()]}
    finding.measured |= {"replayed": list(stages), **_of_cores(profile, evidence, settle_seconds, stages)}
    if change.low > 1 and change.high > WIDEST * change.low:
        within = f"{significant(change.low)}× and {significant(change.high)}×"
        finding.reason = f"{name}: no upper bound: it lies between {within}, too wide to say more"
    elif result.status == "kept":
        finding.status = "ceiling"
        edit = "" if finding.python or finding.recommendation else "; no edit is known that reaches it"
        finding.reason = f"{if_free(words, finding.measured, name)}{edit}"
    elif change.high < 1:
        finding.reason = f"{name}: no upper bound: a replay costs more, {words}"
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
        finding.reason = f"{name}: no upper bound: of the time that is left, most is that of the replay"
        return
    finding.measured = {**ends_of(least), AT_LEAST: True, "replayed": list(stages)}
    finding.status = "ceiling"
    finding.reason = if_free(ratio_text(least.low), finding.measured, name)


def _share_of_replay(evidence: Evidence) -> float:
    """How much of the time of steps with a replay, its own included, was taken as that of handing it out."""
    blocks = evidence.blocks(evidence.arm)
    own = sum(block.own_seconds for block in blocks)
    left = sum(block.seconds if block.wait_seconds is None else block.wait_seconds for block in blocks)
    return own / (own + left) if own else 0.0


def _whole(block: TurnEnded) -> TurnEnded:
    own, wait = block.own_seconds, block.wait_seconds
    waited = wait + own if wait is not None else None
    return replace(block, seconds=block.seconds + own, wait_seconds=waited, own_seconds=0.0)


def _of_cores(profile: Profile, evidence: Evidence, settle_seconds: float, stages: Sequence[str]) -> Facts:
    """The machine's own upper bound once stages cost nothing: the CPU time of the rest, and where it is the limit.

    A replay costs CPU time of its own: of the two sums of what is left, that of the replay and that of the run without
    the stages, the smaller one is everything else.
    """
    blocks = evidence.blocks(evidence.arm)
    steps, seconds = sum(block.steps for block in blocks), sum(block.seconds for block in blocks)
    spent, cores = sum(block.cpu_seconds for block in blocks), profile.host.cores
    if not steps or not seconds or not spent:
        return {}
    replay_ms = 1e3 * spent * seconds / (seconds + settle_seconds * len(blocks)) / steps
    rest_ms = _rest_of_cpu(profile, stages)
    cpu_ms = replay_ms if rest_ms is None else min(replay_ms, rest_ms)
    found: Facts = {"other_cpu_ms_per_batch": round(cpu_ms, 4)}
    step_ms = step_alone_ms(profile)
    if not step_ms:
        return found
    needed = cpu_ms / step_ms
    found["cores_needed"] = round(needed, 3)
    if cpu_ms * steps / (1e3 * seconds) >= LIMIT_FROM * cores and needed > cores:
        text = f"without it, the cores are the limit: with a step of {milliseconds(step_ms)} the rest needs "
        found["conclusion"] = f"{text}{significant(needed, 2)} cores; this machine has {cores:g}"
    return found


def _rest_of_cpu(profile: Profile, stages: Sequence[str]) -> float | None:
    """Milliseconds of CPU time per batch of the run without stages and what is inside them; None where not known."""
    gone = {own.id: own.cpu_ms_per_batch for one in stages_at(profile, stages) for own in (one, *inside(profile, one))}
    known = [cpu_ms for cpu_ms in gone.values() if cpu_ms is not None]
    return max(0.0, profile.cpu.total_ms - sum(known)) if profile.cpu is not None and known else None


def is_for_a_step_only(profile: Profile, finding: Finding) -> bool:
    """Whether all that is known about a stage is to do its work in the step, and there is no step to tell its price."""
    text = finding.change or finding.recommendation or ""
    without_step = profile.steps is not None and profile.steps.dispatch is None
    return without_step and not finding.python and bool(text) and all(_IN_STEP in part for part in text.split("; "))


def open_bound(profile: Profile, finding: Finding) -> str:
    """State why stages have no upper bound that is a gain, with what to do there on a second line.

    Advice where a measurement shows no gain would be empty: there is none then.
    """
    stage = next(iter(stages_at(profile, [finding.stage or ""])), None)
    name = stage_name(stage) if stage is not None else finding.title
    if finding.status == "ceiling":
        return f"{finding.reason}; {finding.recommendation}. A run with --step tells whether that pays"
    shows_none = finding.measured is not None and (finding.measured.get("low") or 0.0) <= 1
    if finding.status != "unverified" or not finding.recommendation or shows_none:
        return str(finding.reason)
    place = (stage_place(stage) if stage is not None else None) or name
    return f"{finding.reason}\n{place}   {finding.recommendation}"
