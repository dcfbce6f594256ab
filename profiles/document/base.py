"""The base of all parts of the document, its vocabularies, and places in files."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Bound = Literal["input", "step", "balanced"]
Limit = Literal["serial-stage", "cpu", "io", "gil", "latency", "memory", "step"]
Owner = Literal["runtime", "source", "cache", "shuffle", "prefetch", "parallel", "batch", "consumer", "python", "slack"]
How = Literal["measured", "model", "predicted", "alias"]


class Model(BaseModel):
    """Base of all parts of the document: unknown fields are kept out, defaults are ``None``."""

    # Whoever needs only a stage or a finding does not pay for the whole document.
    model_config = ConfigDict(extra="forbid", defer_build=True)


class Location(Model):
    """A place in the user's file."""

    file: str
    line: int
    column: int | None = None
    call: str | None = Field(
        None,
        description="Name of what is called there, for a Python target: one call may be several stages, as "
        "`bucket_by_sequence_length` and Keras' loaders are.",
    )
