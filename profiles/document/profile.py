"""The profile: the one document that everything after the measurement reads.

Fields and vocabularies are the published contract (``pipeprof schema profile``): fields are added, never renamed,
and what could not be had is ``None``, never 0. Times are seconds unless the name says ``_ms``; sizes are bytes.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, PrivateAttr

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.findings import Finding, Fix, Verdict, Verification
from pipeprof.profiles.document.measured import Device, Disk, Overhead, Series, Throughput
from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.shared import Contention, Phase, Steps, Training
from pipeprof.profiles.document.stages import Causes, CpuAccount, Headspace, Stage
from pipeprof.profiles.document.subject import DataSize, Host, Target, Tool

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
