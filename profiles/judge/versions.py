"""Pipelines between two sides: of two specs, and of two Python functions through their graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.judge.explain import Versions
from pipeprof.profiles.judge.pairs import SideFailedError
from pipeprof.profiles.judge.why.graph_changes import Names
from pipeprof.profiles.judge.why.graph_versions import GraphVersions
from pipeprof.profiles.judge.why.spec_versions import SpecVersions
from pipeprof.profiles.judge.why.units import Subset
from pipeprof.profiles.protocol.job import Job

Measured: TypeAlias = "tuple[RunSettings, Callable[[RunSettings], JobMaker]]"
"""How a side is measured, and what makes its jobs with other settings."""


def versions_between(a: Measured, b: Measured, names: tuple[Names, Names] = ({}, {})) -> Versions | None:
    """The pipelines between two sides; None where there are none.

    Args:
        names: Of the stages of both, as their profiles have them.
    """
    if a[0].loaded is not None and b[0].loaded is not None:
        return _Specs(a, b, SpecVersions(a[0].loaded, b[0].loaded))
    if a[0].loaded is None and b[0].loaded is None:
        return _Functions(a, b, GraphVersions(a[0].target, b[0].target, names=names))
    return None


class _Specs:
    """Pipelines between two specs, as jobs."""

    rest: Subset = frozenset()

    def __init__(self, a: Measured, b: Measured, specs: SpecVersions) -> None:
        self._a = a
        self._b = b
        self._specs = specs

    @property
    def changes(self) -> Sequence[str]:
        """What leads from A to B, in words."""
        return self._specs.changes

    def problem(self, chosen: Subset) -> str | None:
        """Why A with some changes is no valid spec; None where it is."""
        return self._specs.problem(chosen)

    def job(self, chosen: Subset) -> Callable[[], Job]:
        """What makes the job of A with some changes; with all of them, it is that of B."""
        if len(chosen) == len(self.changes):
            settings, make = self._b
            return checked("b", make(settings))
        settings, make = self._a
        return checked("a", make(replace(settings, loaded=self._specs.loaded(chosen)) if chosen else settings))


class _Functions:
    """Pipelines between two Python functions, as jobs."""

    def __init__(self, a: Measured, b: Measured, graphs: GraphVersions) -> None:
        self._a = a
        self._b = b
        self._graphs = graphs

    @property
    def changes(self) -> Sequence[str]:
        """What leads from A to B, in words."""
        return self._graphs.changes

    @property
    def rest(self) -> Subset:
        """What no edit of the graph makes."""
        return self._graphs.rest

    def problem(self, chosen: Subset) -> str | None:
        """Nothing: whether an edit fits shows when it is made."""
        del chosen
        return None

    def job(self, chosen: Subset) -> Callable[[], Job]:
        """What makes the job of A with some edits; it is made again from its graph, as an edited one is."""
        if len(chosen) == len(self.changes):
            settings, make = self._b
            return checked("b", make(settings))
        settings, make = self._a
        maker, steps = make(settings), self._graphs.edits(chosen)
        return checked("a", maker, lambda: maker.workers(["A"], None, steps)["A"])


def checked(side: str, maker: JobMaker, job: Callable[[], Job] | None = None) -> Callable[[], Job]:
    """What makes a job as long as the files of its side are what they were.

    Args:
        side: ``a`` or ``b``.
        job: Makes the job; None for that of the pipeline as its user made it.
    """

    def make() -> Job:
        changed = maker.changed_file()
        if changed is not None:
            raise SideFailedError(side, f"{changed} has changed since the session began")
        return job() if job is not None else maker.untouched()

    return make
