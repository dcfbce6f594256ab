"""Upper bounds as entrants of a race: which stages are handed out again, and what that says of them: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.tries.combine import Contender, TriedChange
from pipeprof.profiles.tries.race import RaceResult
from pipeprof.profiles.tries.result import reason_of, status_of
from pipeprof.profiles.verify import ceiling
from pipeprof.profiles.verify.bound_advice import add_save_lines, name_together
from pipeprof.profiles.verify.judge_edit import Judgement
from pipeprof.profiles.verify.stages import pays
from pipeprof.profiles.verify.trials import Trial


def bounds_of(profile: Profile, findings: Sequence[Finding], limit: int | None) -> list[Contender]:
    """The upper bounds that are worth knowing, those of the stages with most work first.

    Args:
        findings: What is known of changes: stages where one of them reaches much have no bound of their own.
        limit: Memory limit in bytes; None for none.
    """
    found: list[Contender] = []
    for named in ceiling.further_bounds(profile, findings) if pays(profile) else ():
        stages = ceiling.to_replay(profile, named)
        job = ceiling.replay_job(profile, stages, limit)
        if not isinstance(job, str):
            name = name_together([one for one in profile.stages or () if one.id in stages])
            found.append(Contender(Proposal(name, stage=named[0], covers=tuple(named)), job))
    return found


def is_settled(profile: Profile, bound: Contender, findings: Sequence[Finding]) -> bool:
    """Whether changes that are known make an upper bound needless."""
    still = {stage for stages in ceiling.further_bounds(profile, findings) for stage in stages}
    return still.isdisjoint(bound.proposal.covers)


def bound_finding(profile: Profile, tried: TriedChange, findings: Sequence[Finding], settle_seconds: float) -> Finding:
    """What an upper bound says, as a finding.

    Args:
        findings: What was tried at any stage.
        settle_seconds: Of each block, whose steps are not counted though their CPU time is.
    """
    result, name, named = tried.result, tried.proposal.title, tried.proposal.covers
    stages = tuple(tried.contender.replay.stages) if tried.contender.replay is not None else named
    finding = ceiling.bottleneck_finding(profile, named, findings)
    known = ceiling.bound_of(profile, result.evidence, settle_seconds, stages) if result.evidence is not None else None
    ceiling.write_bound(finding, _as_trial(result), stages, known, name)
    add_save_lines(profile, finding, stages)
    return finding


def _as_trial(result: RaceResult) -> Trial:
    status, reason = status_of(result), reason_of(result)
    judgement = Judgement(status, reason, result.change, result.saved_bytes, None, True)
    return Trial(status, reason, result.evidence, judgement if result.change is not None else None)
