"""Memory and its owners."""

from __future__ import annotations

from pydantic import Field

from pipeprof.profiles.document.base import How, Model, Owner, PhaseName


class LedgerEntry(Model):
    """Bytes of the peak with an owner."""

    owner: Owner
    stage: str | None = None
    bytes: int
    how: How


class Memory(Model):
    """Resident memory of the worker and its children."""

    baseline_bytes: int | None = Field(None, description="RSS with TensorFlow imported and one trivial dataset run.")
    peak_bytes: int | None = None
    peak_phase: PhaseName | None = None
    growth_bytes_per_second: float | None = Field(None, description="Slope of RSS over the last samples.")
    seconds_to_limit: float | None = None
    ledger: list[LedgerEntry] | None = None
    unexplained_bytes: int | None = None
