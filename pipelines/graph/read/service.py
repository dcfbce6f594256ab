"""What a dataset of the graph says of the tf.data service that it reads from, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.wire import VARINT, DamagedError, read_fields

POLICIES: Final = ("OFF", "DYNAMIC", "FILE", "DATA", "FILE_OR_DATA", "HINT")
"""TensorFlow's sharding policies by their numbers in a `ProcessingModeDef`."""
COMPRESSIONS: Final[Mapping[int, str | None]] = {1: None, 2: "AUTO", 3: "SNAPPY"}
"""Arguments `compression` of TensorFlow's API by their numbers in a `DataServiceMetadata`."""
UNKNOWN: Final = "unknown"
_COMPRESSION: Final = 2
"""Number of that field."""


@dataclass(frozen=True)
class ServiceFacts:
    """A tf.data service as a dataset reads from it; None for what the graph does not have.

    Attributes:
        address: The dispatcher's host:port.
        mode: Name of TensorFlow's sharding policy.
        max_outstanding_requests: None where TensorFlow chooses it.
        cross_trainer_cache: Elements are kept for other trainers.
    """

    address: str | None
    mode: str | None
    protocol: str | None = None
    job_name: str | None = None
    consumer_index: int | None = None
    num_consumers: int | None = None
    max_outstanding_requests: int | None = None
    cross_trainer_cache: bool = False
    target_workers: str | None = None

    @property
    def shares(self) -> tuple[str, ...]:
        """The arguments by which this reader takes its elements from what others read as well."""
        given = (
            ("job_name", self.job_name is not None),
            ("num_consumers", self.num_consumers is not None),
            ("cross_trainer_cache", self.cross_trainer_cache),
        )
        return tuple(name for name, holds in given if holds)


def service_facts(arguments: Mapping[str, Any]) -> ServiceFacts:
    """Read the arguments of a dataset whose elements the workers of a service make, as `NodeDict` has them."""

    def number(name: str) -> int | None:
        value = arguments.get(name)
        return value if isinstance(value, int) and value >= 0 else None

    return ServiceFacts(
        address=arguments.get("address"),
        mode=_mode(arguments.get("processing_mode")),
        protocol=arguments.get("protocol"),
        job_name=arguments.get("job_name") or None,
        consumer_index=number("consumer_index"),
        num_consumers=number("num_consumers"),
        max_outstanding_requests=number("max_outstanding_requests"),
        cross_trainer_cache=bool(arguments.get("cross_trainer_cache_options")),
        target_workers=arguments.get("target_workers"),
    )


def _mode(text: object) -> str | None:
    """The policy in a `ProcessingModeDef`, whose only field is its number; text where it was read as text."""
    if not isinstance(text, str):
        return None
    number = _number(text.encode(), 1) or 0
    return POLICIES[number] if number < len(POLICIES) else None


def compression(metadata: bytes) -> str | None:
    """How the elements of a registered dataset are compressed, by the argument of TensorFlow's API; else `UNKNOWN`."""
    return COMPRESSIONS.get(_number(metadata, _COMPRESSION) or 0, UNKNOWN)


def _number(message: bytes, field: int) -> int | None:
    try:
        return next(
            (
                read.value
                for read in read_fields(message, 0, len(message))
                if (read.number, read.kind) == (field, VARINT)
            ),
            None,
        )
    except DamagedError:
        return None
