"""Profiles of several hosts that train together: which is late, what differs there, what waiting for all costs.

Pure functions. A host is late by the same bars as a straggler elsewhere: of five hosts or more by the modified z-score
(Iglewicz and Hoaglin, 1993: 3.5), of fewer by the ratio to the median of the others. What differs on a host is a
suspicion: one profile each does not tell causes apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Literal, TypeVar

from pydantic import Field

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.experiment.decision import LEAST_GAIN
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.wording import milliseconds, percent, size, stage_label

_Item = TypeVar("_Item")

FEW = 5
"""Hosts from which a z-score means something."""
LATE_RATIO = 1.1
"""Interval over the median of the others from which one of few hosts is late."""
LEAST_RATIO = LEAST_GAIN
"""As `LATE_RATIO`, for any number of hosts: less is within the noise of single runs."""
LATE_Z = 3.5
_NORMAL = 0.6745
"""Quartile of the normal distribution, which makes a deviation from the median one in standard deviations."""
DIFFERS = 1.1
"""Ratio to the median of the others from which a measurement is named."""
DIFFERS_BY = 0.1
"""The same of shares of the time."""
_BLOCKS = 10
"""Stretches of a host's steps whose means count as independent."""


class Difference(Model):
    """A measurement of a late host that differs from those of the others."""

    what: Literal["stage", "disk", "neighbours", "cores", "data", "step", "cpu"]
    """Its stage, its disk, other processes on its cores, its number of cores, its batches, its device, its CPU."""
    text: str
    """In a sentence, with numbers."""
    stage: str | None = None
    """Address of the stage."""


class OfHost(Model):
    """One host."""

    index: int
    """From 0; in the order of the files, where they do not tell."""
    file: str
    """Of its profile."""
    name: str | None = None
    """Network name of the machine."""
    step_ms: float
    """Mean interval of its steps, alone."""
    p95_ms: float
    """95th percentile of the same."""
    wait_ms: float | None = None
    """Mean wait for the pipeline; `None` without a step."""
    ratio: float
    """Interval over the median of the other hosts'."""
    ratio_low: float | None = None
    """Lower end of the ratio's 98 % interval, by the stretches of its own steps; `None` with too few of them."""
    ratio_high: float | None = None
    """Upper end."""
    late: bool = False
    """Whether it is later than chance explains."""
    differs: list[Difference] = Field(default_factory=list)
    """What differs there; of a late host."""


class Barrier(Model):
    """What it costs that every step waits for all hosts, if their steps are long independently of each other."""

    step_ms: float
    """Expected interval of the steps together."""
    median_ms: float
    """Median of the hosts' own intervals."""
    share: float
    """What all wait for each other, over `median_ms`."""
    slowest_share: float
    """Part of it because one host is slower on average."""
    chance_share: float
    """Part of it because long steps of the hosts fall at different times."""


class HostsReport(Model):
    """Profiles of several hosts side by side."""

    schema_version: Literal[1] = 1
    """Of this document: 1."""
    kind: Literal["hosts"] = "hosts"
    """Always `hosts`."""
    tool: Tool
    """Program that wrote it."""
    target: str
    """What they all measured."""
    hosts: list[OfHost]
    """By their index."""
    barrier: Barrier | None = None
    """`None` where a profile has no distribution of its steps."""
    missing: list[int] = Field(default_factory=list)
    """Hosts without a profile."""
    notes: list[str] = Field(default_factory=list)
    """What the numbers are worth."""


def report_of(profiles: Sequence[tuple[Path, Profile]], tool: Tool) -> HostsReport:
    """Lay profiles of several hosts side by side.

    Raises:
        ProfileError: They are not about one pipeline, one of them has no steps, or two are of one host.
    """
    for path, profile in profiles:
        if profile.steps is None or not profile.steps.count:
            raise ProfileError(f"{path} has no measured steps: measure that host again")
    _require_alike(profiles)
    numbered, missing, notes = _numbered(profiles)
    notes += _remarks(profiles)
    ordered = [numbered[index] for index in sorted(numbered)]
    means = [_step_ms(profile) for _, profile in ordered]
    hosts = [
        _of_host(index, *numbered[index], others=_without(means, place)) for place, index in enumerate(sorted(numbered))
    ]
    for place, host in enumerate(hosts):
        host.late = _is_late(host, _without(means, place))
        if host.late:
            others = [profile for _, profile in _without(ordered, place)]
            host.differs = _differences(ordered[place][1], others)
    return HostsReport(
        tool=tool,
        target=profiles[0][1].target.text,
        hosts=hosts,
        barrier=_barrier([profile for _, profile in ordered]),
        missing=missing,
        notes=notes,
    )


def _require_alike(profiles: Sequence[tuple[Path, Profile]]) -> None:
    first_path, first = profiles[0]
    for path, profile in profiles[1:]:
        one, other = first.target, profile.target
        if (one.kind, one.arguments, one.script_arguments) != (other.kind, other.arguments, other.script_arguments):
            raise ProfileError(f"{first_path} is of {one.text} and {path} of {other.text}: other arguments or kinds")
        text_differs = (one.resolved_sha256 or one.sha256) != (other.resolved_sha256 or other.sha256)
        if text_differs or one.edits != other.edits:
            raise ProfileError(
                f"{first_path} is of {one.text} and {path} of {other.text}, whose text differs: --hosts compares hosts"
                " on one pipeline; `pipeprof compare` compares pipelines"
            )
        if _step_of(first) != _step_of(profile):
            raise ProfileError(
                f"{first_path} was measured with {_words(first)} and {path} with {_words(profile)}: measure all hosts"
                " with one --step"
            )


def _remarks(profiles: Sequence[tuple[Path, Profile]]) -> list[str]:
    """What makes profiles less comparable, in words."""
    versions = sorted({str(profile.versions.get("tensorflow")) for _, profile in profiles})
    partial = [str(path) for path, profile in profiles if not profile.complete]
    return [
        *([f"the hosts have TensorFlow {' and '.join(versions)}"] if versions[1:] else []),
        *([f"measured in part only: {', '.join(partial)}"] if partial else []),
    ]


def _step_of(profile: Profile) -> tuple[object, ...]:
    device, steps = profile.device, profile.steps
    return (device.kind, device.text) if device else (), steps.dispatch if steps else None


def _words(profile: Profile) -> str:
    device, steps = profile.device, profile.steps
    step = (device.text or device.kind) if device is not None else "no step"
    return f"{step}, dispatch {steps.dispatch}" if steps is not None and steps.dispatch is not None else step


def _numbered(profiles: Sequence[tuple[Path, Profile]]) -> tuple[dict[int, tuple[Path, Profile]], list[int], list[str]]:
    """The profiles by their host, the hosts that are missing, and remarks."""
    parts = [profile.target.host for _, profile in profiles]
    known = [part for part in parts if part is not None]
    if not known:
        note = (
            "no profile tells which host it is of (`pipeprof run --host I/N`): each measured all of the data, and they"
            " are numbered in the order of the files"
        )
        return dict(enumerate(profiles)), [], [note]
    if len(known) < len(parts):
        path = next(path for path, profile in profiles if profile.target.host is None)
        raise ProfileError(f"{path} is of all of the data, and others are of one host: measure it with --host too")
    numbers = {part.of for part in known}
    if len(numbers) > 1:
        counts = " and ".join(str(number) for number in sorted(numbers))
        raise ProfileError(f"these profiles are of {counts} hosts: measure all with the same N of --host I/N")
    found: dict[int, tuple[Path, Profile]] = {}
    for part, pair in zip(known, profiles, strict=True):
        if part.index in found:
            raise ProfileError(f"{found[part.index][0]} and {pair[0]} are both of host {part.index}: give one of them")
        found[part.index] = pair
    missing = [index for index in range(known[0].of) if index not in found]
    return found, missing, []


def _without(items: Sequence[_Item], place: int) -> list[_Item]:
    return [item for at, item in enumerate(items) if at != place]


def _step_ms(profile: Profile) -> float:
    assert profile.steps is not None  # noqa: S101 - for the type checker; checked at the beginning
    return profile.steps.interval_ms.mean


def _of_host(index: int, path: Path, profile: Profile, *, others: Sequence[float]) -> OfHost:
    assert profile.steps is not None  # noqa: S101 - as above
    usual = median(others)
    found = _interval(profile, usual)
    known = found is not None and found.freedom > 0
    return OfHost(
        index=index,
        file=str(path),
        name=profile.host.name,
        step_ms=_step_ms(profile),
        p95_ms=profile.steps.interval_ms.p95,
        wait_ms=profile.steps.wait_ms.mean if profile.steps.wait_ms is not None else None,
        ratio=_step_ms(profile) / usual if usual else 1.0,
        ratio_low=found.low if found is not None and known else None,
        ratio_high=found.high if found is not None and known else None,
    )


def _interval(profile: Profile, usual: float) -> Interval | None:
    """How well the ratio of a host's interval to that of others is known, by stretches of its steps."""
    course = profile.series.steps
    if course is None or len(course.interval_ms) < _BLOCKS or usual <= 0:
        return None
    length = len(course.interval_ms) / _BLOCKS
    edges = [round(number * length) for number in range(_BLOCKS + 1)]
    means = [fmean(course.interval_ms[begin:end]) for begin, end in pairwise(edges)]
    if min(means) <= 0:
        return None
    return estimate([math.log(mean / usual) for mean in means])


def _is_late(host: OfHost, others: Sequence[float]) -> bool:
    if host.ratio_low is not None and host.ratio_low < LEAST_RATIO:
        return False
    if len(others) + 1 < FEW:
        return host.ratio >= LATE_RATIO
    every = [*others, host.step_ms]
    middle = median(every)
    spread = median(abs(value - middle) for value in every)
    z = _NORMAL * (host.step_ms - middle) / spread if spread else math.inf
    return host.ratio >= LEAST_RATIO and z > LATE_Z


def _differences(late: Profile, others: Sequence[Profile]) -> list[Difference]:
    """What differs on a late host, the stage first."""
    found = [_of_stages(late, others)]
    found += [
        _of_ratio("step", late, others, _busy, lambda mine, usual: (
            f"its step takes {milliseconds(mine)}, elsewhere {milliseconds(usual)}"
        )),
        _of_cores(late, others),
        _of_neighbours(late, others),
        _of_disk(late, others),
        _of_ratio("data", late, others, _bytes, lambda mine, usual: (
            f"its batches have {size(mine)}, elsewhere {size(usual)}"
        )),
    ]  # fmt: skip
    known = [one for one in found if one is not None]
    if not any(one.what in ("cores", "neighbours", "data") for one in known):
        slower = _of_ratio("cpu", late, others, _cpu, _more_cpu)
        known += [slower] if slower is not None else []
    return known


def _more_cpu(mine: float, usual: float) -> str:
    return (
        f"a batch takes {milliseconds(mine)} of CPU time, elsewhere {milliseconds(usual)}: slower cores, or more work"
    )


def _of_stages(late: Profile, others: Sequence[Profile]) -> Difference | None:
    """The stage whose time per batch is the most above that elsewhere."""
    usual = {stage.id: _usual(others, stage.id) for stage in late.stages or ()}
    more: list[tuple[float, Stage]] = []
    for stage in late.stages or ():
        mine, theirs = stage.inside_ms, usual[stage.id]
        if mine is not None and theirs is not None:
            more.append((mine - theirs, stage))
    if not more:
        return None
    most, stage = max(more, key=lambda pair: pair[0])
    if most <= 0 or most < (DIFFERS - 1) * (stage.inside_ms or 0.0):
        return None
    text = f"most of it in {stage_label(stage)}: {milliseconds(most)} more per batch than elsewhere"
    return Difference(what="stage", text=text, stage=stage.id)


def _usual(profiles: Sequence[Profile], stage: str) -> float | None:
    times = [one.inside_ms for profile in profiles for one in profile.stages or () if one.id == stage]
    known = [time for time in times if time is not None]
    return median(known) if known else None


def _of_ratio(
    what: Literal["step", "data", "cpu"],
    late: Profile,
    others: Sequence[Profile],
    read: Callable[[Profile], float | None],
    say: Callable[[float, float], str],
) -> Difference | None:
    mine, usual = read(late), _median(others, read)
    if mine is None or not usual or mine / usual < DIFFERS:
        return None
    return Difference(what=what, text=say(mine, usual))


def _median(profiles: Sequence[Profile], read: Callable[[Profile], float | None]) -> float | None:
    known = [value for profile in profiles if (value := read(profile)) is not None]
    return median(known) if known else None


def _busy(profile: Profile) -> float | None:
    busy = profile.steps.busy_ms if profile.steps is not None else None
    return busy.mean if busy is not None else None


def _bytes(profile: Profile) -> float | None:
    return profile.throughput.bytes_per_batch if profile.throughput is not None else None


def _cpu(profile: Profile) -> float | None:
    return profile.cpu.total_ms if profile.cpu is not None else None


def _of_cores(late: Profile, others: Sequence[Profile]) -> Difference | None:
    usual = median(profile.host.cores for profile in others)
    if late.host.cores >= usual:
        return None
    return Difference(what="cores", text=f"it may use {late.host.cores:g} cores, the others {usual:g}")


def _of_neighbours(late: Profile, others: Sequence[Profile]) -> Difference | None:
    def waits(profile: Profile) -> float | None:
        return profile.contention.runnable_wait_share if profile.contention is not None else None

    def used(profile: Profile) -> float | None:
        return profile.contention.others_cores if profile.contention is not None else None

    mine, usual = waits(late), _median(others, waits)
    if mine is None or usual is None or mine - usual < DIFFERS_BY:
        return None
    cores, elsewhere = used(late), _median(others, used)
    by = (
        f"; other processes used {cores:.1f} cores, elsewhere {elsewhere:.1f}"
        if cores is not None and elsewhere is not None
        else ""
    )
    text = f"its threads waited for a core {percent(mine)} of the time, elsewhere {percent(usual)}{by}"
    return Difference(what="neighbours", text=text)


def _of_disk(late: Profile, others: Sequence[Profile]) -> Difference | None:
    def stalled(profile: Profile) -> float | None:
        return profile.contention.stalled_by_files_share if profile.contention is not None else None

    def read(profile: Profile) -> float | None:
        steps, disk = profile.steps, profile.disk
        known = disk is not None and disk.bytes is not None and steps is not None and steps.count > 0
        return disk.bytes / steps.count if known and disk and steps and disk.bytes is not None else None

    mine, usual = stalled(late), _median(others, stalled)
    if mine is not None and usual is not None and mine - usual >= DIFFERS_BY:
        text = f"a task waited for its disk {percent(mine)} of the time, elsewhere {percent(usual)}"
        return Difference(what="disk", text=text)
    came, elsewhere = read(late), _median(others, read)
    share = came / whole if came is not None and (whole := _bytes(late)) else 0.0
    if came is None or elsewhere is None or came < DIFFERS * elsewhere or share < DIFFERS_BY:
        return None
    text = f"{size(came)} per batch came from its disk, elsewhere {size(elsewhere)}: the rest was in memory"
    return Difference(what="disk", text=text)


# The barrier.


def _barrier(profiles: Sequence[Profile]) -> Barrier | None:
    """The expected longest of one step of each host, by the distributions of their intervals."""
    spread = [_distribution(profile) for profile in profiles]
    known = [one for one in spread if one is not None]
    if len(known) < len(spread):
        return None
    means = [_step_ms(profile) for profile in profiles]
    usual, slowest = median(means), max(means)
    together = max(expected_longest(known), slowest)
    return Barrier(
        step_ms=together,
        median_ms=usual,
        share=together / usual - 1,
        slowest_share=slowest / usual - 1,
        chance_share=(together - slowest) / usual,
    )


Distribution = list[tuple[float, float]]
"""Pairs of a value and its share, by value."""


def _distribution(profile: Profile) -> Distribution | None:
    """The intervals of a host's steps: bins of its histogram, moved so that their mean is the measured one."""
    bins = [(bound, count) for bound, count in profile.series.interval_histogram_ms if count > 0]
    total = sum(count for _, count in bins)
    if not total:
        return None
    factor = _step_ms(profile) / (sum(bound * count for bound, count in bins) / total)
    return [(bound * factor, count / total) for bound, count in sorted(bins)]


def expected_longest(spread: Sequence[Distribution]) -> float:
    """The mean of the largest of independent values, one of each distribution.

    Example:
        >>> expected_longest([[(10.0, 0.5), (20.0, 0.5)], [(10.0, 0.5), (20.0, 0.5)]])
        17.5
    """
    values = sorted({value for one in spread for value, _ in one})
    mean, before = 0.0, 0.0
    for value in values:
        below = math.prod(sum(share for other, share in one if other <= value) for one in spread)
        mean += value * (below - before)
        before = below
    return mean / before if before else 0.0
