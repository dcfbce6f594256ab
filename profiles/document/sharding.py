"""How several hosts that train together divide the data of one pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import Model

Policy = Literal["AUTO", "FILE", "DATA", "OFF", "HINT"]


class HostPart(Model):
    """One of several hosts."""

    index: int
    """From 0."""
    of: int
    """Number of hosts."""


class HostShare(Model):
    """What one host gets of the data in an epoch; `None` where it is not known."""

    index: int
    """From 0."""
    files: int | None = None
    """Files that it opens."""
    bytes: int | None = None
    """Bytes of these files on the disk."""
    records: int | None = None
    """Elements of its batches together."""
    steps: int | None = None
    """Batches that it gets."""


class Sharding(Model):
    """What each of several hosts reads, by the rewrite that a strategy of TensorFlow makes."""

    hosts: int
    """Number of hosts."""
    policy: Policy
    """`auto_shard_policy` of the pipeline's options; `AUTO` where none is set."""
    applied: Literal["FILE", "DATA", "OFF", "HINT", "own"] | None = None
    """What the policy comes to; `own` where the pipeline divides its data by a shard of its own; `None` where that is
    not known."""
    why: str | None = None
    """Why it comes to that."""
    at: list[str] = Field(default_factory=list)
    """Addresses of the stages before which a host's part of the files is taken, or after which its part of the
    batches is."""
    fails: str | None = None
    """What TensorFlow refuses on at least one host; `None` where every host can start."""
    files: int | None = None
    """Files of the whole pipeline; `None` where they are not known."""
    bytes: int | None = None
    """Bytes of these files."""
    amplification: float | None = None
    """Bytes that all hosts read together over the bytes of the files; of files where bytes are not known."""
    shares: list[HostShare] = Field(default_factory=list)
    """One for each host."""
    unknown: list[str] = Field(default_factory=list)
    """What is not known, and why."""
