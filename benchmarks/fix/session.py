"""The pipelines that a result of `fix` is held against, and the session in which all of them take turns."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise, product
from typing import TypeAlias

from cases import Case
from judging import AS_IT_IS, BASES, COPY, EVERYWHERE, FIXED, PROCESSES, block_seconds

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    PipelineEdit,
    SetArgument,
    SetOption,
    VectoriseMap,
    from_document,
)
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import JobMaker, Version
from pipeprof.profiles.experiment.same_data import check_data
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import make_options
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import Built, TurnRequest

WARM = TurnRequest("warm", 1.5)
LEAST_STEPS, SETTLE_SECONDS = 6, 0.05


def start_of(case: Case) -> Version:
    """The pipeline as it is."""
    target = parse_target(case.target)
    if target.kind != "spec":
        return Version()
    return Version((), load_spec(target.path))


Steps: TypeAlias = "tuple[tuple[PipelineEdit, ...], ...]"
"""Edits, each step on the pipeline that the one before it made."""


def grid(profile: Profile) -> dict[str, Steps]:
    """The edits of every pipeline of the grid, by what it is in words."""
    stages = [stage for stage in profile.stages or () if stage.origin == "written"]
    maps = [stage for stage in stages if stage.op in {"map", "interleave"} and traits(stage.op).parallel]
    line = main_line(profile)

    def calls(number: int | str) -> tuple[PipelineEdit, ...]:
        return tuple(SetArgument(stage.id, stage.op, "num_parallel_calls", number) for stage in maps)

    pool = SetOption("threading.private_threadpool_size", 16 * max(1, len(maps)))
    bodies: dict[str, Steps] = {"": ()}
    if maps:
        bodies |= {f"calls={number}": (calls(number),) for number in (2, 16, AUTOTUNE)}
        bodies[f"calls=16, pool={pool.value}"] = ((*calls(16), pool),)
    for one, other in pairwise(line):
        if one.op == "map" and other.op == "batch":
            vectorised = (VectoriseMap(one.id, other.id),)
            bodies["vectorised"] = (vectorised,)
            # The map has the batch's place, and the batch the map's.
            parallel = SetArgument(other.id, one.op, "num_parallel_calls", AUTOTUNE)
            bodies[f"vectorised, calls={AUTOTUNE}"] = (vectorised, (parallel,))
    ends: dict[str, Steps] = {"": ()}
    if line and not traits(line[-1].op).prefetches:
        ends["prefetch"] = ((InsertStage("prefetch", {"buffer_size": AUTOTUNE}, None),),)
    found = {", ".join(filter(None, names)): names for names in product(bodies, ends)}
    return {name or AS_IT_IS: (*bodies[body], *ends[end]) for name, (body, end) in found.items() if body or end}


def tuned_everywhere(profile: Profile) -> tuple[PipelineEdit, ...]:
    """AUTOTUNE in every stage that takes it, and a prefetch at the end; empty where all have it."""
    written = [stage for stage in profile.stages or () if stage.origin == "written"]
    owners = tuple(f"{stage.id}." for stage in written if traits(stage.op).nests)
    serial = [one for one in written if traits(one.op).parallel and not one.tunable and not one.id.startswith(owners)]
    edits: list[PipelineEdit] = [SetArgument(one.id, one.op, "num_parallel_calls", AUTOTUNE) for one in serial]
    line = main_line(profile)
    if line and not traits(line[-1].op).prefetches:
        edits.append(InsertStage("prefetch", {"buffer_size": AUTOTUNE}, line[-1].id))
    return tuple(edits)


def versions(start: Version, profile: Profile) -> dict[str, Version]:
    """All pipelines of a session but the one as it is; those that no edit can make are left out."""
    edits = grid(profile)
    if tuned := tuned_everywhere(profile):
        edits[EVERYWHERE] = (tuned,)
    found = {}
    for name, steps in edits.items():
        try:
            found[name] = functools.reduce(Version.then, steps, start)
        except PipeprofError as error:
            print(f"  {name}: {error}", file=sys.stderr)
    best = start
    for step in profile.fix.edits if profile.fix is not None else ():
        best = best.then([edit for one in step if (edit := from_document(one.model_dump())) is not None])
    return {FIXED: best, **found} if best.steps else found


class Session:
    """Processes of pipelines that take turns, block by block, in rounds that run forwards and backwards."""

    def __init__(self, case: Case, start: Version, interval: float, team: Team) -> None:
        target = parse_target(case.target)
        settings = make_options(target=target, loaded=start.loaded, step=parse_step(case.step), lock=False)
        self._case, self._team = case, team
        self._maker = JobMaker(settings, memory_limit=None, digest_seconds=1.0, data_progress=lambda *_: None)
        seconds = block_seconds(interval)
        self._block = TurnRequest("block", seconds, LEAST_STEPS, max(SETTLE_SECONDS, interval))

    def _jobs(self, name: str, version: Version) -> dict[str, Options]:
        return {name: self._maker.of_version(version)}

    def _round(self, names: Sequence[str], number: int) -> dict[str, float]:
        rates = {}
        for name in names if number % 2 == 0 else names[::-1]:
            ended = self._team.turn(name, self._block, seconds=180)
            rates[name] = round(ended.steps / ended.seconds, 4)
        return rates

    def select(self, entered: Mapping[str, Version], rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
        """Rates of all pipelines, and which were left out, and why: they cannot be built, or give other data."""
        jobs = self._maker.as_it_is()
        for name, version in entered.items():
            jobs |= self._jobs(name, version)
        started, left_out = dict(self._team.start(jobs, seconds=180)), {}
        built = {name: one for name, one in started.items() if isinstance(one, Built)}
        for name, one in started.items():
            if isinstance(one, MemberFailedError):
                left_out[name] = one.reason
            elif name in entered:
                check = check_data(built["A1"], built["A2"], one, "randomness" if self._case.allow else "same")
                if not check.same:
                    left_out[name] = check.words
                    self._team.end(name)
        names = [BASES[0], *(name for name in entered if name not in left_out), BASES[1]]
        found = self._measured(names, lambda rates: len(rates[BASES[0]]) >= rounds)
        self._team.end()
        return found, left_out

    def compare(
        self, entered: Mapping[str, Version], enough: Callable[[Mapping[str, list[float]]], bool]
    ) -> dict[str, list[float]]:
        """Rates of pipelines, of several processes each, until it is enough."""
        again = self._maker.as_it_is()
        for name, number in product(entered, range(1, PROCESSES + 1)):
            again |= self._jobs(f"{name}{COPY}{number}", entered[name])
        failed = [
            one for one in dict(self._team.start(again, seconds=180)).values() if isinstance(one, MemberFailedError)
        ]
        if failed:
            raise failed[0]
        order = [BASES[0], *(name for name in again if name not in BASES), BASES[1]]
        return self._measured(order, enough)

    def _measured(
        self, names: Sequence[str], enough: Callable[[Mapping[str, list[float]]], bool]
    ) -> dict[str, list[float]]:
        for name in names:
            self._team.turn(name, WARM, seconds=180)
        rates: dict[str, list[float]] = {name: [] for name in names}
        while not enough(rates):
            for name, rate in self._round(names, len(rates[names[0]])).items():
                rates[name].append(rate)
        return rates


@contextmanager
def session(case: Case, start: Version, interval: float) -> Iterator[Session]:
    """A session whose processes are ended."""
    with Signals().installed() as signals, Team(signals, None).closing() as team:
        yield Session(case, start, interval, team)


def is_same(one: Version, other: Version) -> bool:
    """Whether two pipelines have the same edits: what they differ by is then their processes alone."""
    return one.environment == other.environment and [*flat(one)] == [*flat(other)]


def flat(version: Version) -> Iterator[PipelineEdit]:
    """The edits of all steps."""
    for step in version.steps:
        yield from step
