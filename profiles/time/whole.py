"""The whole data set behind a measured sample: how many batches an epoch of it has; pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.meaning.traits import traits

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

_DATA_FROM: Final = 0.02
"""Bytes of a source over those that come out later, from which they are the data, and not names or row numbers."""


def whole_batches(profile: Profile) -> float | None:
    """Return the batches of an epoch of the whole data set; None where its size does not tell.

    Bytes are those that the sources give: records as they are stored, arrays. Of names of files they tell nothing.
    """
    wanted, flow = profile.data_size, profile.throughput
    if wanted is None:
        return None
    if wanted.elements is not None:
        if flow is None or not flow.elements_per_second or not flow.batches_per_second:
            return None
        return wanted.elements / flow.elements_per_second * flow.batches_per_second
    per_batch = _source_bytes(profile)
    return wanted.bytes / per_batch if wanted.bytes is not None and per_batch else None


def whole_epoch_seconds(profile: Profile) -> float | None:
    """Return how long an epoch of the whole data set takes at the measured pace; None where its size does not tell."""
    batches, steps = whole_batches(profile), profile.steps
    return batches * steps.interval_ms.mean / 1e3 if batches and steps is not None else None


def _source_bytes(profile: Profile) -> float:
    """Bytes per batch of the sources that hold the data; 0 where none does, or one of them is unknown."""
    stages = profile.stages or ()
    most = max((stage.bytes_out_per_batch or 0.0 for stage in stages), default=0.0)
    sources = [one for one in stages if one.id.rpartition(".")[2] == "source" and not traits(one.op).names_files]
    given = sum(one.bytes_out_per_batch or 0.0 for one in sources)
    return given if given >= _DATA_FROM * most else 0.0
