"""The result of a comparison or a gate: the second document of pipeprof (``pipeprof schema result``).

Fields are added, never renamed; what could not be had is ``None``. Sides, metrics and pairs are as in DESIGN §6.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import Field

from pipeprof.profiles.document.base import Location, Model
from pipeprof.profiles.document.profile import Host, Message, Target, Tool
from pipeprof.profiles.document.store import MAX_BYTES, load_document
from pipeprof.profiles.experiment.decision import Verdict

SCHEMA_VERSION: Final = 1
Level = Literal["off", "warn", "error"]
Scale = Literal["ratio", "difference"]
"""How two values are compared: B over A, or B less A where 0 is a usual value."""
Direction = Literal["slower", "faster", "more", "less"]
Words = Literal["slower", "faster", "more", "less", "no difference", "cannot tell"]


class Side(Model):
    """One of the two pipelines."""

    text: str
    """As given on the command line."""
    file: str | None = None
    """The file that was measured: of a git ref, its copy's name in the ref."""
    location: Location | None = None
    """Where it is written: the first stage of a spec, the line that defines a function."""
    ref: str | None = None
    """The commit, for a git ref."""
    dirty: bool | None = None
    """The work tree differed from its last commit; None outside of git."""
    saved: bool = False
    """A saved profile: one process, measured earlier."""
    target: Target | None = None
    """The file and its hash; `None` before it was read."""
    host: Host | None = None
    """Machine that it was measured on."""
    versions: dict[str, str | None] = Field(default_factory=dict)
    """Version by package; null where it is not installed."""
    verdict: str | None = None
    """The sentence of its own profile."""
    profile: str | None = None
    """Where its own profile was saved."""
    elements_per_batch: float | None = None
    """Mean number; `None` where it is unknown."""


class Metric(Model):
    """One quantity on both sides."""

    name: str
    """As in `budgets:`, e.g. `step_ms`."""
    title: str
    """As in the report."""
    unit: str
    """Of `a` and `b`: `ms`, `s`, `B`, `1/s`, or empty for a share."""
    a: float | None = None
    """Median over the processes of A."""
    b: float | None = None
    """Median over the processes of B."""
    a_spread: float | None = None
    """Largest less smallest value of A's processes."""
    b_spread: float | None = None
    """Largest less smallest value of B's processes."""
    scale: Scale = "ratio"
    """Whether `change` and its ends are B over A, or B less A."""
    change: float | None = None
    """B over A, or B less A (`scale`): the mean over pairs."""
    low: float | None = None
    """Lower end of the interval at 98 %; None for one process."""
    high: float | None = None
    """Upper end of the interval."""
    pairs: int = 0
    """Pairs that count."""
    floor: float = Field(ge=0)
    """Smallest change that counts: a share for a ratio, in the unit for a difference; 0 for a limit."""
    level: Level = "error"
    """What a regression means for the gate; `off` is shown and not judged."""
    limit: float | None = None
    """An absolute budget that B is held against, in place of A; `change` is B over it."""
    stage: str | None = None
    """Of a budget for one stage: its name."""
    location: Location | None = None
    """The line of that stage in B."""
    verdict: Verdict = "cannot tell"
    """`regressed` and `not regressed` where the whole interval is on one side of the floor."""
    words: Words = "cannot tell"
    """What B is, compared with A."""
    rules_out: Direction | None = None
    """What B is not, for certain, where `words` cannot tell what it is."""
    resolution: float | None = None
    """The smallest change that this session finds in 99 of 100 cases, as `floor` is given."""
    disturbed: bool = False
    """Processes of A itself differ by more than the floor: only a change beyond that counts."""
    more_pairs: int | None = None
    """How many more pairs would settle the verdict."""


class PairValues(Model):
    """The values of one pair of processes, by the names of metrics."""

    order: list[str]
    """In which the blocks of its processes were measured."""
    a: dict[str, float]
    """Values of the process of A."""
    b: dict[str, float]
    """Values of the process of B."""
    again: dict[str, float] | None = None
    """Of another process of A: what the machine makes of it."""
    further: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Of the third pipeline and those after it, by the names of `further`."""
    started_s: float | None = None
    """Seconds since the session began."""
    elsewhere_share: float | None = None
    """Of the cores' time, what other processes and other machines took in the median turn."""
    stolen_share: float | None = None
    """Of the cores' time, what the hypervisor gave to other machines in the median turn."""
    counts: bool = True
    """False where other machines took much more than in the quietest pairs."""


class StageChange(Model):
    """A stage on both sides."""

    name: str
    """Its name, or op."""
    a: Location | None = None
    """Its line in A."""
    b: Location | None = None
    """Its line in B."""
    status: Literal["same", "changed", "only a", "only b"]
    """Whether its arguments are the same, or which side has it."""
    a_cpu_ms_per_batch: float | None = None
    """CPU time per batch in A, all threads."""
    b_cpu_ms_per_batch: float | None = None
    """CPU time per batch in B, all threads."""
    a_share: float | None = None
    """Part of the pipeline's work in A, 0 to 1."""
    b_share: float | None = None
    """Part of the pipeline's work in B, 0 to 1."""
    a_buffered_bytes: float | None = None
    """In its buffer in A, at the fullest reading."""
    b_buffered_bytes: float | None = None
    """In its buffer in B, at the fullest reading."""


class SelfTest(Model):
    """A gate that was tried on the user's own pipeline: what it found of longer steps and an allocation."""

    target: str
    """As given on the command line."""
    started: str
    """UTC, ISO 8601."""
    host: str | None = None
    """Name of the machine."""
    passed: bool
    """Whether it passed the unchanged pipeline and failed the other one for both metrics."""
    alarms: list[str]
    """Metrics that it called regressed though nothing had changed."""
    undecided: list[str] = Field(default_factory=list)
    """Metrics that it could not decide though nothing had changed."""
    missed: list[str]
    """Metrics that it called not regressed though they were made worse."""
    worse_undecided: list[str] = Field(default_factory=list)
    """Metrics that it could not decide though they were made worse."""
    slower: float
    """Share by which its steps were to be longer."""
    measured_slower: float | None = None
    """Share by which they were, as measured."""
    hold_bytes: int
    """Allocated and kept."""
    detectable: dict[str, float]
    """By metric: the smallest change that the gate finds in 99 of 100 cases at these settings."""
    pairs: list[int]
    """Of the unchanged and of the changed session."""


class WorseSession(Model):
    """The second half of a self-test: the pipeline against itself with longer steps and more memory."""

    slower: float
    """Share by which the steps of B were to be longer."""
    hold_bytes: int
    """Allocated and kept by B."""
    metrics: list[Metric] = Field(default_factory=list)
    """As those of the document."""
    pairs: list[PairValues] = Field(default_factory=list)
    """As those of the document."""


class Arm(Model):
    """A third pipeline, or one after it, compared with A (`compare A B C`)."""

    name: str
    """`c`, `d` and so on."""
    side: Side
    """The pipeline."""
    data: str | None = None
    """Whether it gives the first batches of A, in words."""
    metrics: list[Metric] = Field(default_factory=list)
    """Each compared with A."""
    changes: list[str] = Field(default_factory=list)
    """What differs between its spec and that of A, or between the files of two functions."""
    change_places: list[Location | None] = Field(default_factory=list)
    """The line of each of `changes`."""
    verdict: Verdict = "cannot tell"
    """That of its metrics together."""


class Result(Model):
    """The whole document."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Of this document: 1."""
    kind: Literal["compare", "gate", "self-test"]
    """The command, or the part of `gate`, that wrote it."""
    tool: Tool
    """Program that wrote it."""
    command: list[str] = Field(default_factory=list)
    """Command line, word by word."""
    started: str | None = None
    """UTC, ISO 8601."""
    complete: bool = False
    """Whether all pairs were measured that were to be."""
    exit_code: int | None = None
    """What the command ended with; `None` while it runs."""
    a: Side
    """The first pipeline, which the others are compared with."""
    b: Side
    """The second pipeline."""
    order: Literal["turns", "one by one"] | None = None
    """How the processes of a pair shared the machine; None without live pairs."""
    step: str | None = None
    """Training step of both, as text; `None` without one."""
    dispatch: str | int | None = None
    """`sync`, or steps in flight; `None` without a step."""
    data: str | None = None
    """Whether both sides give the same first batches, in words."""
    metrics: list[Metric] = Field(default_factory=list)
    """Each quantity of A and B."""
    pairs: list[PairValues] = Field(default_factory=list)
    """Values of each pair, in the order of measuring."""
    stages: list[StageChange] = Field(default_factory=list)
    """Stages of both sides, aligned."""
    changes: list[str] = Field(default_factory=list)
    """What differs between two specs, or between the files of two functions; empty where that is too much."""
    change_places: list[Location | None] = Field(default_factory=list)
    """The line of each of `changes` in the spec or the file of B; null where B has none."""
    budgets: list[str] = Field(default_factory=list)
    """Budgets of the spec of B that are others than those of A, by which a gate judges."""
    verdict: Verdict = "cannot tell"
    """That of all metrics that are judged."""
    worse: WorseSession | None = None
    """Of `gate --self-test`: with faults in B."""
    self_test: SelfTest | None = None
    """Of `gate --self-test`."""
    further: list[Arm] = Field(default_factory=list)
    """The third pipeline and those after it; `words` and `verdict` of all metrics then hold for all pipelines together
    (Holm)."""
    unchanged: str | None = None
    """Why nothing was measured: both sides are the same pipeline."""
    seconds: float | None = None
    """How long the session took."""
    warnings: list[Message] = Field(default_factory=list)
    """Remarks on what the verdict is worth."""
    errors: list[Message] = Field(default_factory=list)
    """What ended the session before its end."""

    def side(self, name: str) -> Side:
        """A pipeline by its name, ``a``, ``b`` and so on; B for any other word."""
        if name in {"a", "b"}:
            return self.a if name == "a" else self.b
        return next((arm.side for arm in self.further if arm.name == name), self.b)

    def rows(self) -> dict[str, list[Metric]]:
        """The metrics of each pipeline but A, by its name."""
        return {name: arm.metrics for name, arm in self.arms().items()}

    def arms(self) -> dict[str, Result | Arm]:
        """What was found of each pipeline but A, by its name; of B, the document has it itself."""
        return {"b": self, **{arm.name: arm for arm in self.further}}


_KINDS = frozenset(get_args(Result.model_fields["kind"].annotation))
_A_KIND = re.compile(rb'"kind"\s*:\s*"(?:%s)"' % "|".join(sorted(_KINDS)).encode())


def kind_of_result(path: Path) -> str | None:
    """The kind of a result of ``compare`` or ``gate``; None for anything else, which is for the reader of profiles."""
    try:
        raw = path.read_bytes() if path.is_file() and path.stat().st_size <= MAX_BYTES else b""
        # A long profile is not parsed twice.
        document = json.loads(raw) if _A_KIND.search(raw) else None
    except (OSError, ValueError, RecursionError):
        return None
    kind = document.get("kind") if isinstance(document, dict) and "pairs" in document else None
    return kind if isinstance(kind, str) and kind in _KINDS else None


def is_result(path: Path) -> bool:
    """Whether a file is a result of ``compare`` or ``gate``."""
    return kind_of_result(path) is not None


def load_result(path: Path) -> Result:
    """Read a saved result; raises ProfileError where it breaks the schema, or has one of a newer pipeprof."""
    return load_document(path, Result, SCHEMA_VERSION)
