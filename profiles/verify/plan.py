"""What is tried, in which order, and how long it takes: pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeprof.pipelines.steps.kinds.recorded import KIND as replay
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.profiles.advise.advise import pays_in_step
from pipeprof.profiles.document.findings import Finding, NotTried
from pipeprof.profiles.document.measured import Device
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.schedule import Mode
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.verify.expected import by_worth
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.wording import size, stage_label, stage_name, stage_place

LONG_BLOCK = 2.5
"""Seconds from which a block has fewer steps."""
FEWEST_STEPS = 3
LONGEST_WHOLE_EPOCH = 1.5
"""Seconds of an epoch up to which blocks are whole epochs."""
WHOLE_EPOCH_SHARE = 1 / 30
"""Of a large budget, for such an epoch: twelve pairs of blocks, and the starts, still fit."""
RESTARTS_COUNT = 0.02
"""Share of the time that restarts take from which blocks with one more or less of them differ by that alone."""
LEAST_EPOCHS = 3
"""In the measured run, from which on what an epoch takes is known where the graph does not tell."""
DIGEST_SECONDS = 1.5
DIGEST_SHARE = 0.02
"""Of the budget that the description of the first batches takes at most, in each worker."""
WORKERS = 4
PROCESS_SECONDS = 2.0
"""Of the one block of a process that is measured alone."""
PROCESS_STEPS = 24
IMPORT_SECONDS = 4.0
"""For the import of TensorFlow, once: the workers are copies of the process that did it."""
START_SECONDS = 1.5
"""For a worker to start, per core."""
_BUDGET: Final = ": --budget "
"""Comes before the budget that a change takes, at the end of a reason."""
OVER_BUDGET = 1.22
"""Times its budget in which verification begins what it measures: what has begun ends before a quarter is over."""
TRIED = frozenset({"same", "order", "randomness"})
"""What `run` tries; edits that change values are for the user to decide."""

AT_A_TIME: dict[Mode, int] = {"alternating": 4, "pairs": 2, "sequential": 1}
MODE_WORDS: dict[Mode, str] = {
    "alternating": "four processes take turns",
    "pairs": "two processes at a time",
    "sequential": "one process at a time",
}


def calls_of(mode: Mode) -> str:
    """State how often the user's function is called."""
    if mode == "alternating":
        return "your function is called four times for the first, twice for each further one"
    return f"your function is called {'four times' if mode == 'pairs' else 'four to eight times'} for each"


@dataclass(frozen=True)
class ChosenMode:
    """How the workers share the machine.

    Attributes:
        why: Why not all at once, in words; None where they are.
    """

    mode: Mode
    why: str | None = None


def uses_gpu(profile: Profile) -> bool:
    """Whether the step may use a GPU, which one process has to itself."""
    device = profile.device.kind if profile.device is not None else "none"
    return bool(profile.host.gpus) and not step_kind(device).shares_device


def mode_of(profile: Profile, limit_bytes: int | None) -> ChosenMode:
    """Choose how many processes of the pipeline exist at a time.

    Args:
        profile: Of the run: its peak of memory, its step and the GPUs count.
        limit_bytes: Memory that all of them may use together; None for any.
    """
    if uses_gpu(profile):
        return ChosenMode("sequential", "the step may use the GPU, which one process has to itself")
    peak = profile.memory.peak_bytes
    if peak is None or limit_bytes is None or AT_A_TIME["alternating"] * peak <= limit_bytes:
        return ChosenMode("alternating")
    mode: Mode = "pairs" if AT_A_TIME["pairs"] * peak <= limit_bytes else "sequential"
    many = AT_A_TIME["alternating"] if mode == "pairs" else AT_A_TIME["pairs"]
    needed, limit = many * peak / 2**30, limit_bytes / 2**30
    return ChosenMode(mode, f"{many} processes need {needed:.1f} GiB, the limit is {limit:.1f} GiB")


@dataclass(frozen=True)
class Pace:
    """Lengths of a verification.

    Attributes:
        block: A measured turn, as long as the pipeline as it is takes.
        start_seconds: Until all workers of an edit are ready to be measured, TensorFlow's import not counted.
        digest_seconds: For the description of the first batches.
        shortest_block: Seconds that a measured turn has at least: a faster pipeline does its steps in less.
        step_seconds: Between two steps of the pipeline as it is, on average.
    """

    block: TurnRequest
    warm: TurnRequest
    start_seconds: float
    digest_seconds: float
    round_seconds: float
    mode: Mode = "alternating"
    shortest_block: float = QUICK.block_seconds
    step_seconds: float = 0.0

    def seconds_of(self, pairs: int, *, first: bool) -> float:
        """Seconds that an edit takes; the first one starts the pipeline as it is as well.

        Args:
            pairs: That are measured; of processes where one exists at a time.
            first: Whether no process of the pipeline as it is exists.
        """
        rounds = math.ceil(pairs / 2)
        loading = IMPORT_SECONDS if first else 0.0
        if self.mode == "sequential":
            return loading + (self.start_seconds + self.round_seconds) * rounds
        start = self.start_seconds if first or self.mode == "pairs" else self.start_seconds / 2
        return loading + start + self.round_seconds * rounds

    def least_pairs(self, pairs: int) -> int:
        """Return how many pairs stand for so many where all processes exist at once."""
        return min(pairs, 2) if self.mode == "sequential" else pairs


def pace_of(profile: Profile, budget: float, cores: float, mode: Mode = "alternating") -> Pace:
    """Choose the lengths of blocks and warm-ups from the measured run.

    Args:
        profile: Of the run: its step interval and the lengths of its phases count.
        budget: Seconds that verification may take.
        mode: How many of them exist at a time.
    """
    interval = 0.0
    if profile.steps is not None and profile.steps.interval_ms is not None:
        interval = (profile.steps.interval_ms.mean or 0.0) / 1e3
    alone = mode == "sequential"
    steps = PROCESS_STEPS if alone else QUICK.block_steps
    if not alone and steps * interval > LONG_BLOCK:
        steps = max(FEWEST_STEPS, int(LONG_BLOCK / interval))
    shortest = PROCESS_SECONDS if alone else QUICK.block_seconds
    seconds, settle = max(shortest, steps * interval), max(QUICK.settle_seconds, interval)
    longest = max(LONGEST_WHOLE_EPOCH, WHOLE_EPOCH_SHARE * budget)
    if (epochs := whole_epochs(profile, seconds, longest)) is not None:
        # A restart in steps that are not counted would be missing.
        seconds, steps, settle = *epochs, 0.0
    warm = max(min(QUICK.warm_seconds, QUICK.warm_share * budget), 3 * interval)
    made = seconds_to_make(profile)
    starts = WORKERS * (START_SECONDS + made) / max(1.0, min(cores, AT_A_TIME[mode]))
    return Pace(
        block=TurnRequest("block", seconds, steps, settle),
        warm=TurnRequest("warm", warm),
        start_seconds=starts + WORKERS * warm,
        digest_seconds=min(DIGEST_SECONDS, DIGEST_SHARE * budget),
        round_seconds=WORKERS * (seconds + settle),
        mode=mode,
        shortest_block=shortest,
        step_seconds=interval,
    )


def whole_epochs(profile: Profile, seconds: float, longest: float) -> tuple[float, int] | None:
    """Seconds and steps of whole epochs, where short ones start with a pause that counts.

    Args:
        longest: Seconds of one, at most.
    """
    run = profile.steps
    if run is None or run.epochs < LEAST_EPOCHS or (run.restart_share or 0.0) < RESTARTS_COUNT:
        return None
    known = main_line(profile)[-1].cardinality if main_line(profile) else None
    epoch = known if known is not None and known > 0 else run.count / run.passes
    epoch_seconds = epoch * (run.interval_ms.mean or 0.0) / 1e3
    if not 0 < epoch_seconds <= longest:
        return None
    many = math.ceil(seconds / epoch_seconds)
    return many * epoch_seconds, math.ceil(many * epoch)


LONG_TO_MAKE = 5.0
"""Seconds from which the plan states first how long the pipeline takes until its first batch."""


def seconds_to_make(profile: Profile) -> float:
    """Seconds until the pipeline had given its first batch, TensorFlow's start not counted."""
    phases = {phase.name: phase.seconds or 0.0 for phase in profile.phases}
    return sum(phases.get(name, 0.0) for name in ("data", "build", "first_element"))


def cannot_verify(profile: Profile) -> str | None:
    """Return why nothing of a run can be verified, in words; ``None`` where it can."""
    if not profile.complete or profile.exit_code:
        return "the measurement did not finish"
    if profile.steps is None or not profile.steps.count:
        return "no step was measured"
    return None


def cannot_replay(step: Mapping[str, object]) -> str | None:
    """Return why nothing can be proven with a step that is replayed in place of a script's, in words.

    Args:
        step: Arguments of the recorded step; empty where none is replayed.
    """
    why = replay.too_optimistic(step) if step else None
    return f"{why} as the pipeline, so that a replay of it proves nothing" if why is not None else None


def cannot_try(finding: Finding, *, has_edit: bool, step: Device | None = None, cache: str | None = None) -> str | None:
    """Return why a finding's edit is not tried, in words; ``None`` where it is.

    Args:
        has_edit: Whether its edit can be applied without the user.
        cache: Why what it keeps for later epochs is no recommendation.
        step: Of the run; None where it is not known.
    """
    if finding.family == "correctness":
        return "it is about the data, not about speed or memory"
    if pays_in_step(finding) and (constant := _same_for_all_batches(step)) is not None:
        return f"it pays only in the step, and {constant}: give a step whose cost depends on the batch, {_PER_MB}"
    if not has_edit:
        return "the change needs your code"
    if finding.semantics not in TRIED:
        return "it may change values"
    return cache


_PER_MB = "the real one or `simulate: {base: 4ms, per_mb: 1ms}`"


def _same_for_all_batches(step: Device | None) -> str | None:
    """Return in words that a step takes the same time for every batch; None where it may not."""
    return step_kind(step.kind if step is not None else "none").same_for_all_batches((step and step.text) or "")


def to_try(profile: Profile) -> list[Finding]:
    """The findings whose edits are worth a try, the one with the largest predicted effect first."""
    return by_worth(profile, [finding for finding in profile.findings or () if finding.status == "unverified"])


def too_long(pace: Pace, left: float, budget: float, *, first: bool, pairs: int, further: float = 0.0) -> str | None:
    """Return why an edit, with the further seconds that it needs, does not fit into the time left, in words.

    ``None`` where it does.
    """
    needed = pace.seconds_of(pairs, first=first) + further
    if needed <= left:
        return None
    total = (pace.seconds_of(pairs, first=True) + further) / OVER_BUDGET
    if total <= budget:
        return f"the budget of {budget:.0f} s has no time for it"
    return f"does not fit into the budget of {budget:.0f} s: --budget {math.ceil(total)}"


def budget_of_one(pace: Pace) -> int:
    """Return the budget in which one edit can be tried and proven, in seconds: that of a large gain."""
    return math.ceil(pace.seconds_of(pace.least_pairs(QUICK.early), first=True) / OVER_BUDGET)


def announcement(
    profile: Profile, mode: ChosenMode, count: int, left: float, *, is_spec: bool, needs: int | None = None
) -> str:
    """Return what a verification is going to do, for the progress.

    Args:
        needs: Seconds of the least budget that holds a try, where this one does not.
        count: How many edits may be tried.
        left: Seconds that it may take.
        is_spec: Whether the pipeline is a spec, which calls no function of the user's.
    """
    what = f"trying up to {count} change{'s' if count > 1 else ''}" if count else "measuring upper bounds"
    text = f"{what}, {left:.0f} s at most"
    if needs is not None:
        text = f"no change can be tried: one try of this pipeline takes --budget {needs}"
    if not is_spec:
        text += f"; {calls_of(mode.mode)}"
    if (made := seconds_to_make(profile)) >= LONG_TO_MAKE:
        text += f"; the pipeline takes {made:.0f} s until its first batch, in each process again"
    if any(runs_python(stage) for stage in profile.stages or ()):
        text += "; its Python functions run in each process, with what they write or send"
    if mode.why is not None:
        text += f"; {MODE_WORDS[mode.mode]}: {mode.why}"
    return f"{text} (Ctrl-C: report now; --no-verify skips this)"


def by_reason(found: Mapping[str, Sequence[str]]) -> list[NotTried]:
    """Join changes that were not tried for one reason, with the largest of the budgets that their reasons name.

    Args:
        found: Titles of changes, by the reason.

    Example:
        >>> [(one.reason, one.changes) for one in by_reason({"no time: --budget 45": ["a"], "no time": ["b"]})]
        [('no time: --budget 45', ['a', 'b'])]
    """
    joined: dict[str, tuple[int, list[str]]] = {}
    for reason, titles in found.items():
        words, _, budget = reason.partition(_BUDGET)
        largest, others = joined.get(words, (0, []))
        joined[words] = max(largest, int(budget or 0)), [*others, *titles]
    return [
        NotTried(reason=f"{words}{_BUDGET}{budget}" if budget else words, changes=titles)
        for words, (budget, titles) in joined.items()
    ]


def as_change(profile: Profile, finding: Finding) -> str:
    """A change that somebody can make by hand: ``train.py:12 num_parallel_calls: 1 → 8``; its title without one."""
    stage = next((stage for stage in profile.stages or () if stage.id == finding.stage), None)
    place = stage_place(stage) if stage is not None else None
    kept = finding.cache
    memory = f", {size(kept.sample_bytes)} of this sample in memory" if kept and kept.sample_bytes is not None else ""
    if kept is not None and kept.bytes is not None:
        memory = f", {size(kept.bytes)} in memory"
    # What is left out of a short line comes after a semicolon.
    first, semicolon, more = (finding.change or finding.title).partition(";")
    return "   ".join(filter(None, (place, f"{first}{memory}{semicolon}{more}")))


def which_change(profile: Profile, finding: Finding) -> str:
    """A change with the stage that it is made at, where its words name none.

    Example:
        ``batch (input.py:24): num_parallel_calls: not set → AUTOTUNE``, ``insert prefetch(…) after decode``
    """
    words = finding.change or finding.title
    stages = profile.stages or ()
    stage = next((stage for stage in stages if stage.id == finding.stage), None)
    named = any(re.search(rf"\b{re.escape(stage_name(one))}\b", words) for one in stages)
    return words if stage is None or named else f"{stage_label(stage)}: {words}"
