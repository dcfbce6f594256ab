"""What was measured, where, and with what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.findings import Edit


class Tool(Model):
    """Who wrote the document."""

    name: Literal["pipeprof"] = "pipeprof"
    version: str


class TargetFile(Model):
    """One of the files that a spec is made of."""

    file: str
    role: Literal["spec", "extends", "overlay"] = Field(
        description="The spec itself, one that another extends, or one that `-f` laid over it."
    )
    sha256: str


class Target(Model):
    """What was measured: a spec, a Python function that returns a dataset, or a training script."""

    kind: Literal["spec", "function", "script"]
    text: str = Field(description="The target as given on the command line.")
    sha256: str | None = Field(None, description="Hash of the spec's text, the script or the function's file.")
    script_arguments: list[str] | None = Field(None, description="What a script was given after `--`.")
    arguments: dict[str, str] | None = Field(None, description="`--arg` values by name as typed; `None` for a spec.")
    resolved_sha256: str | None = Field(
        None, description="Hash of what the spec says with everything merged and filled in, however it was written."
    )
    overrides: list[str] = Field(default_factory=list, description="`--set` values in the order given.")
    overlays: list[str] = Field(default_factory=list, description="`-f` files in the order given.")
    files: list[TargetFile] = Field(default_factory=list, description="The files that the spec is made of.")
    variables: dict[str, str | None] | None = Field(
        None, description="Variables that `--env` looked up in the environment, null where not set; null without it."
    )
    name: str | None = Field(None, description="The spec's own `name`.")
    edits: list[Edit] = Field(
        default_factory=list, description="The edits of `--change`, with which the target was measured."
    )


class DataSize(Model):
    """Size of the whole data set, in one of two units: what was measured may be a sample of it."""

    elements: int | None = Field(None, description="Elements of one epoch, as `elements_per_second` counts them.")
    bytes: int | None = Field(None, description="Bytes of its files or arrays.")


class Host(Model):
    """The machine the worker ran on."""

    name: str | None = None
    system: str
    machine: str
    cpu_model: str | None = None
    cores: float = Field(description="Cores the worker may use: affinity and cgroup quota counted.")
    schedulable_cores: int | None = Field(
        None, description="Cores it may be scheduled on, whatever its quota: TensorFlow's pools have a thread for each."
    )
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = Field(None, description="The limit the run was held to.")
    memory_limit_source: str | None = Field(None, description="`option`, `cgroup` or `machine`.")
    gpus: list[str] = Field(default_factory=list)
