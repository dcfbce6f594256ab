"""``memory-grows``: memory in use grows over a soak."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.memory.growth.judge import LEAST_BYTES, LEAST_WINDOWS, NOISE
from pipeprof.profiles.memory.growth.texts import advice_of
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


class MemoryGrows(Rule):
    """Memory in use that grows for as long as the training runs.

    Seen:
        Over a run with --soak, the least memory in use of each epoch (or of each window, without epochs) rose steadily
        after the warm-up, which is a third of the run: the 95 % interval of the slope of Theil and Sen stays above
        zero, the last third grows at half of that pace at least, and buffers and caches of the pipeline have not taken
        it. Memory in use is glibc's blocks and Python's: free memory that an allocator keeps does not count.

    Why:
        A training of hours ends without memory where one of minutes does not. What stays is kept by something: a list,
        iterators, datasets or functions that are made anew in each epoch.

    Fix:
        The owner names the line. Iterators and datasets: make them once, and keep none of the old ones. A tf.function
        that is traced again: pass tensors, not Python values that change. Python objects: keep numbers, not arrays or
        tensors (float(loss), not loss), or write them to a file. Memory outside of Python: a library keeps it.

    Ignore when:
        The growth has an end that this run did not reach, as a cache of your own that is not yet full.
    """

    name = "memory-grows"
    title = "Keep no more with each epoch"
    family = "memory"
    semantics = "same"
    thresholds = (
        Threshold("windows", LEAST_WINDOWS, "", "the interval of Sen is finite from five after the warm-up on"),
        Threshold("growth", LEAST_BYTES, "bytes", "smaller steps are an allocator's own"),
        Threshold("noise", NOISE, "median deviations", "healthy trainings of ten kinds stay below"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the soak."""
        soak = view.profile.memory.soak if view.profile is not None else None
        if soak is None or soak.state != "growth" or soak.owner is None:
            return
        numbers = {
            "bytes_per_second": soak.bytes_per_second,
            "bytes_per_epoch": soak.bytes_per_epoch,
            "seconds_to_limit": soak.ends.seconds if soak.ends is not None else None,
        }
        yield Proposal(
            sentence=soak.sentence,
            recommendation=advice_of(soak.owner),
            evidence={"owner": soak.owner.owner, **{name: value for name, value in numbers.items() if value}},
            location=soak.owner.location,
        )
