"""``memory-grows``: memory in use grows over a soak."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.memory.growth.judge import LEAST_BYTES, LEAST_WINDOWS, NOISE
from pipeprof.profiles.memory.growth.texts import ADVICE
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
        In Python's heap: keep numbers, not arrays, or write them to a file; tracemalloc names the lines. Neither there
        nor in the pipeline's buffers: keep no iterators, datasets or tensors of epochs that are over (float(loss), not
        loss), and pass tensors to a tf.function, not Python values that change; memray names what a library keeps.

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
        if soak is None or soak.state != "growth":
            return
        numbers = {
            "bytes_per_second": soak.bytes_per_second,
            "bytes_per_epoch": soak.bytes_per_epoch,
            "seconds_to_limit": soak.ends.seconds if soak.ends is not None else None,
        }
        yield Proposal(
            sentence=soak.sentence,
            recommendation=ADVICE[soak.owner],
            evidence={name: value for name, value in (("owner", soak.owner), *numbers.items()) if value},
        )
