"""The profile: the one document that everything after the measurement reads.

Fields and vocabularies are the published contract (``pipeprof schema profile``): fields are added, never renamed,
and what could not be had is ``None``, never 0. Times are seconds unless the name says ``_ms``; sizes are bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, PrivateAttr

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.findings import Edit, Finding, Fix, Verdict, Verification
from pipeprof.profiles.document.memory import Device, Disk, Memory, Overhead, Series, Throughput
from pipeprof.profiles.document.shared import Contention, ErrorFrame, Phase, Steps, Training
from pipeprof.profiles.document.stages import Causes, CpuAccount, Headspace, Stage

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec


SCHEMA_VERSION: Final = 1
_WHOLE_FETCH = 0.9
"""Part of a fetch in which a GPU waits, from which it has no work of an earlier step left."""


class Profile(Model):
    """The whole document."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Of this document: 1."""
    tool: Tool
    """Program that wrote it."""
    command: list[str] = Field(default_factory=list)
    """Command line, word by word."""
    target: Target
    """What was measured."""
    complete: bool = False
    """Whether the command came to its end; false while it runs and after an interruption."""
    exit_code: int | None = None
    """What the command ended with; `None` while it runs."""
    started: str | None = None
    """UTC, ISO 8601."""
    commit: str | None = None
    """That the work tree of the target is at, whatever has changed in it since; `None` outside of git."""
    seed: int | None = None
    """Given to TensorFlow before the pipeline was built; `None` where none was set."""
    data_size: DataSize | None = None
    """Of `--dataset-size`."""
    no_cache: bool = Field(default=False)
    """`--no-cache`: no change that adds a cache is tried."""
    host: Host
    """Machine that it ran on."""
    versions: dict[str, str | None] = Field(default_factory=dict)
    """Version by package; null where it is not installed."""
    phases: list[Phase] = Field(default_factory=list)
    """Phases that began, in their order."""
    throughput: Throughput | None = None
    """`None` where no step was measured."""
    steps: Steps | None = None
    """`None` where no step was measured."""
    training: Training | None = None
    """`None` unless the target is a script."""
    device: Device | None = None
    """`None` where no step was run."""
    memory: Memory = Field(default_factory=Memory)
    """Resident memory and its owners."""
    disk: Disk | None = None
    """`None` where no step was measured."""
    stages: list[Stage] | None = None
    """Stages of the pipeline; `None` where the graph was not read."""
    options: dict[str, bool | int] | None = None
    """`tf.data.Options` that the pipeline sets, by dotted path; `None` if they were not read."""
    verdict: Verdict | None = None
    """Conclusion; `None` where nothing was measured."""
    headspace: Headspace | None = None
    """Gain of an infinitely fast pipeline; `None` where it was not measured."""
    causes: Causes | None = None
    """Measurements behind `verdict.limit`."""
    cpu: CpuAccount | None = None
    """CPU time by owner; `None` where it was not read."""
    findings: list[Finding] | None = None
    """Changes that rules propose, by their number; `None` where no rule was asked."""
    verification: Verification | None = None
    """`None` where no edit was tried."""
    fix: Fix | None = None
    """Of `pipeprof fix`: the search and the best pipeline."""
    series: Series = Field(default_factory=Series)
    """Samples over the run."""
    overhead: Overhead | None = None
    """Cost of measuring; `None` where no step was measured."""
    contention: Contention | None = None
    """Disturbance by others; `None` where no step was measured."""
    warnings: list[Message] = Field(default_factory=list)
    """Remarks on what the numbers are worth."""
    errors: list[Problem] = Field(default_factory=list)
    """What ended the run before its end."""
    output: str | None = None
    """The end of what the pipeline itself printed."""
    _proposals: list[Finding] = PrivateAttr(default_factory=list)
    _read_from: str | None = PrivateAttr(default=None)

    @property
    def read_from(self) -> str | None:
        """The file that it was read from, where commands about it have to name that; it is not saved."""
        return self._read_from

    def reads_from(self, file: str) -> None:
        """Take the file that it was read from."""
        self._read_from = file

    @property
    def proposals(self) -> list[Finding]:
        """Edits that are worth a try and no more: neither saved nor shown, unless a try makes them findings."""
        return self._proposals

    def propose(self, findings: list[Finding]) -> None:
        """Take edits that are worth a try."""
        self._proposals = findings

    @property
    def tries_one_change(self) -> bool:
        """Whether it is about one change of an earlier run alone, which has the numbers."""
        own = self.command[: self.command.index("--")] if "--" in self.command else self.command
        return any(word.partition("=")[0] == "--change" for word in own)

    @property
    def gains_are_bounds(self) -> bool:
        """Whether a predicted gain is an upper bound: how long a step itself takes is not known, only its fetch."""
        return self.steps is not None and self.steps.dispatch is not None and self.steps.wait_ms is None

    def only_bounds(self, finding: Finding) -> bool:
        """Whether what a finding is predicted to gain is the most that it can: it gains nothing in a slower step."""
        gain = finding.predicted.speedup if finding.predicted is not None else None
        open_one = finding.status == "unverified" and not finding.measured and finding.family != "memory"
        return self.gains_are_bounds and open_one and (gain or 0.0) > 1

    @property
    def takes_turns(self) -> bool:
        """Whether the loop requests a batch only when the step before is over; not known is no."""
        steps, training = self.steps, self.training
        if steps is None or steps.dispatch != "sync" or training is None or training.window is None:
            return steps is not None and steps.dispatch == "sync" and not self.gains_are_bounds
        # A GPU that still has work when the loop requests a batch waits for a part of the fetch.
        return steps.known_wait_ms >= _WHOLE_FETCH * steps.fetch_ms.mean

    @property
    def loop_ms(self) -> float:
        """What a loop that goes on while its step computes does between two fetches, a mean; 0 where it takes turns."""
        steps, training = self.steps, self.training
        if steps is None or training is None or training.fetch is None or self.takes_turns:
            return 0.0
        return max(0.0, steps.interval_ms.mean - steps.fetch_ms.mean)

    @property
    def shows_memory(self) -> bool:
        """Whether the peak is one of the running pipeline: steps were measured, or memory is what ended the run.

        Else the peak is that of a start that was cut short, and no share of it or owner means anything.
        """
        stepped = self.steps is not None and self.steps.count > 0
        return stepped or any(problem.code == "out-of-memory" for problem in self.errors)


class Tool(Model):
    """Who wrote the document."""

    name: Literal["pipeprof"] = "pipeprof"
    """Always `pipeprof`."""
    version: str
    """As `pipeprof --version` prints it."""


class Target(Model):
    """What was measured: a spec, a Python function that returns a dataset, or a training script."""

    kind: Literal["spec", "function", "script"]
    """A spec (YAML), a function that returns a dataset, or a training script."""
    text: str
    """The target as given on the command line."""
    sha256: str | None = None
    """Hash of the spec's text, the script or the function's file."""
    script_arguments: list[str] | None = None
    """What a script was given after `--`."""
    arguments: dict[str, str] | None = None
    """`--arg` values by name as typed; `None` for a spec."""
    resolved_sha256: str | None = None
    """Hash of what the spec says with its flags and variables, however it was written."""
    overrides: list[str] = Field(default_factory=list)
    """`--set` values in the order given."""
    variables: dict[str, str | None] | None = None
    """Variables that `--env` looked up in the environment, null where not set; null without it."""
    name: str | None = None
    """The spec's own `name`."""
    edits: list[Edit] = Field(default_factory=list)
    """The edits of `--change`, with which the target was measured."""


class DataSize(Model):
    """Size of the whole data set, in one of two units: what was measured may be a sample of it."""

    elements: int | None = None
    """Elements of one epoch, as `elements_per_second` counts them."""
    bytes: int | None = None
    """Bytes of its files or arrays."""


class Host(Model):
    """The machine the worker ran on."""

    name: str | None = None
    """Its network name."""
    system: str
    """Operating system with its release, e.g. `Linux 6.1`."""
    machine: str
    """Architecture, e.g. `x86_64`."""
    cpu_model: str | None = None
    """As the system names it; `None` where it does not."""
    cores: float
    """Cores the worker may use: affinity and cgroup quota counted."""
    schedulable_cores: int | None = None
    """Cores it may be scheduled on, whatever its quota: TensorFlow's pools have a thread for each."""
    memory_bytes: int | None = None
    """Physical memory."""
    memory_limit_bytes: int | None = None
    """The limit the run was held to."""
    memory_limit_source: str | None = None
    """`option`, `cgroup` or `machine`."""
    gpus: list[str] = Field(default_factory=list)
    """Its GPUs by TensorFlow's names, else by those of the system; empty without one."""


def spec_target(text: str, loaded: LoadedSpec) -> Target:
    """The target that a spec is, with everything that changed it."""
    return Target(
        kind="spec",
        text=text,
        sha256=loaded.sha256,
        resolved_sha256=loaded.resolved_sha256,
        overrides=list(loaded.overrides),
        variables=loaded.variables,
        name=loaded.spec.name,
    )


NOTES: Final = frozenset({
    "ignored", "no-clear-refs", "repeated", "stages-scaled", "stages-traced", "stages-unseen",
    "step-replaced",
})  # fmt: skip
"""Codes of warnings that do not change what the default report concludes; they are in the complete one."""


class Message(Model):
    """A warning with a stable code."""

    code: str
    """Stable name; `pipeprof rules CODE` describes it."""
    message: str
    """One sentence with this run's numbers."""
    stages: list[str] = Field(default_factory=list)
    """Ids of the stages that it is about."""


class Problem(Model):
    """An error with its place where it can be known."""

    file: str | None = None
    """Where it is: a spec or a Python file."""
    line: int | None = None
    """From 1."""
    column: int | None = None
    """From 1, in the line or in `flag`."""
    length: int | None = None
    """Characters from the column on that are wrong."""
    flag: str | None = None
    """The flag that is wrong, as typed (`--set stages.1.x=2`); the column is then in it."""
    code: str
    """Stable name; `pipeprof rules CODE` describes it."""
    message: str
    """The fault, what was expected and the fix."""
    stage: str | None = None
    """Address of the stage that raised it."""
    address: str | None = None
    """The place in the spec as a dotted path, e.g. `stages.1.ops.0`."""
    frames: list[ErrorFrame] = Field(default_factory=list)
    """The traceback, reduced to the user's own files, outermost first; empty where nothing was raised."""
    traceback: str | None = None
    """The complete traceback (its end, if it is very long)."""
