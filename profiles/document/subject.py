"""What was measured, where, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.findings import Edit

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec


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
