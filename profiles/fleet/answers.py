"""What the commands of a fleet print, as documents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.subject import Tool

SkipKind = Literal["broken", "partial", "foreign", "newer"]


class Skipped(Model):
    """A file that was not added."""

    file: str
    """Its path."""
    kind: SkipKind
    """`broken`: a damaged profile or a file that cannot be read; `partial`: of a measurement that did not come to its
    end; `foreign`: no profile; `newer`: of a newer schema."""
    reason: str
    """In words."""


class Added(Model):
    """What `fleet add` did."""

    schema_version: Literal[1] = 1
    """Of this document: 1."""
    tool: Tool
    """Program that wrote it."""
    fleet: str
    """The folder."""
    added: int
    """Profiles that were added."""
    known: int
    """Profiles that were in it already, by the hash of their files."""
    skipped: list[Skipped] = Field(default_factory=list)
    """Files that were not added."""


class TopRow(Model):
    """A pipeline and what waiting for it costs."""

    pipeline: str
    runs: int
    """Profiles of it."""
    jobs: int
    """Jobs that these are of."""
    seconds: float
    """Profiled time of all of them."""
    wait_share: float | None = None
    """Part of that time in which the device waited for the pipeline; `None` where no profile has a step."""
    device_hours: float | None = None
    """Of its jobs, from `--hours`; `None` without them."""
    wasted_hours: float | None = None
    """`wait_share` of each job times its device hours; `None` without them."""
    limited_by: str | None = None
    """The limit that most of its profiles name."""
    rule: str | None = None
    """Of the finding with the largest measured gain."""
    speedup: float | None = None
    """That gain: batches per second with the change over those without."""


class RegressionRow(Model):
    """A place in a series from which on a pipeline is slower."""

    pipeline: str
    step: str | None = None
    """With its dispatch."""
    hosts: str
    """Class of the hosts."""
    started: str
    """Of the first profile that is slower, UTC."""
    before_commit: str | None = None
    """Of the last profile before it."""
    commit: str | None = None
    """Of the first profile that is slower."""
    before: float
    """Rate before it: the median."""
    after: float
    """Rate from it on, to the end or the next change."""
    unit: Literal["elements", "batches"]
    """Of both rates, per second."""
    slower: float
    """Time per element, or per batch, over what it was, on the same hosts."""
    low: float
    """Lower end of its interval at 98 %."""
    high: float
    """Upper end."""
    runs_before: int
    runs_after: int
    faster_again: str | None = None
    """When the same series became faster later on; `None` where it did not."""


class FindingRow(Model):
    """A rule and how often it found something."""

    rule: str
    pipelines: int
    """In which it found something."""
    runs: int
    """Profiles that it found something in."""
    proven: int
    """Findings whose change was measured and helps."""
    speedup: float | None = None
    """Median of their gains; `None` without one."""
    largest: float | None = None
    """The largest of these."""
    in_pipeline: str | None = None
    """Where that was."""
    rejected: int
    """Findings whose change was measured and does not help."""
    untried: int
    """Findings that were not tried, or only bounded."""


class HostRow(Model):
    """A host over all pipelines that other hosts ran as well."""

    host: str
    runs: int
    """Profiles of it."""
    compared: int
    """Of these, those of a pipeline and step that other hosts have profiles of."""
    slower: float | None = None
    """Time per element over that of the other hosts, on the same pipelines; `None` where there are none."""
    low: float | None = None
    """Lower end of its interval at 98 %; `None` where one comparison says nothing about the spread."""
    high: float | None = None
    """Upper end."""
    slow: bool = False
    """Whether it is slower than the others by more than 3 % for certain."""
    cores: float | None = None
    """Cores that a run may use there: the median."""
    others_cores: float | None = None
    """Cores that other processes used while it was measured: the median."""
    disturbed_share: float | None = None
    """Part of its profiles that others disturbed."""


class FleetAnswer(Model):
    """What `fleet top`, `regressions`, `findings` or `hosts` says."""

    schema_version: Literal[1] = 1
    """Of this document: 1."""
    tool: Tool
    """Program that wrote it."""
    question: Literal["top", "regressions", "findings", "hosts"]
    fleet: str
    """The folder."""
    runs: int
    """Profiles that count, after `--since` and `--label`."""
    pipelines: int
    """Different ones among them."""
    cost: Literal["device hours", "share of the profiled time"] | None = None
    """What `top` orders by."""
    top: list[TopRow] = Field(default_factory=list)
    regressions: list[RegressionRow] = Field(default_factory=list)
    findings: list[FindingRow] = Field(default_factory=list)
    hosts: list[HostRow] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    """What the numbers are worth."""


class QueryAnswer(Model):
    """What `fleet query` returns."""

    schema_version: Literal[1] = 1
    """Of this document: 1."""
    tool: Tool
    """Program that wrote it."""
    columns: list[str]
    rows: list[list[object]]
    """Values by the columns' order; times are ISO 8601."""
