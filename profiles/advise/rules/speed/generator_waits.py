"""``generator-waits``: a Python generator that waits between two elements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pipeprof.pipelines.changes.edits import HandWritten, SetOption
from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.cores import (
    BUSY_CORES,
    ONE_CORE,
    STARVED,
    cores_at_work,
    room_to_wait,
    starved,
    worker_cores,
)
from pipeprof.profiles.advise.predicates import (
    OWNS_STEP,
    POOL_OPTION,
    WAITING_CORES,
    WORTH,
    cores_words,
    ms_per_element,
    owns_step,
    pool_words,
    private_pool,
    worth,
)
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import free_name, from_python, function_file, function_names, structure_of
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.thread_chains import Timing, timing
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, percent


class GeneratorWaits(Rule):
    """A generator that waits for something, one element after the other.

    Seen:
        from_generator is blocked for more than half of the interval (its thread neither computes nor waits for a core),
        while the worker uses less than a third of a core: between two elements the generator waits for a file, a
        network or a database.

    Why:
        A generator runs on one Python thread, which is resumed for each element: while it waits for one, no other is
        requested. A prefetch or a loader thread cannot be faster than that wait; several calls that wait at a time can:
        48 pictures of 20 ms per second from a generator, 789 with 16 calls and a pool of 16 threads.

    Fix:
        If the elements can be made from their index, let range give the indices and a map make the elements, with
        num_parallel_calls=16 and threading.private_threadpool_size=16; without the pool there is one thread per core.
        The order of the elements stays the same. Compare the output: pipeprof cannot know whether the generator can be
        split like this.

    Ignore when:
        Each element depends on the one before, or arrives from outside, e.g. from a socket or a queue.
    """

    name = "generator-waits"
    title = "Replace the waiting generator with a parallel map"
    family = "speed"
    semantics = "values"
    thresholds = (
        OWNS_STEP,
        WAITING_CORES,
        STARVED,
        ONE_CORE,
        BUSY_CORES,
        WORTH,
        Threshold("element-ms", 0.2, "ms", "below it the transfer is the larger part: from-generator-per-element", 0.1),
        Threshold("parallel-calls", 16, "calls and threads", "16 gave 16 times as much, the cap is 64"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside the generator and the CPU time of the worker."""
        at, used = timing(view), cores_at_work(view)
        if at is None or used is None or used >= WAITING_CORES.value or not room_to_wait(view):
            return
        for stage in view.stages:
            if stage.op != "from_generator" or stage.depth != 0:
                continue
            ms, blocked = stage.ms_per_batch, stage.blocked_ms
            if ms is None or blocked is None or not owns_step(at, blocked):
                continue
            each = ms_per_element(at, stage)
            if each is not None and each >= self.threshold("element-ms") and not starved(view, ms / at.interval_ms):
                yield from self._draft(view, at, stage, each)

    def _draft(self, view: PipelineView, at: Timing, stage: StageView, each: float) -> Iterable[Proposal]:
        ms, blocked = stage.ms_per_batch or 0.0, stage.blocked_ms or 0.0
        calls, pool = int(self.threshold("parallel-calls")), private_pool(view)
        threads = max(calls, pool or 0)
        predicted = predict.in_parallel(view, stage, calls, threads)
        if predicted is None or not worth(predicted):
            return
        larger_pool = (SetOption(POOL_OPTION, threads),) if threads != pool else ()
        yield Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} takes {milliseconds(each)} per element, {milliseconds(ms)} of the "
                f"{milliseconds(at.interval_ms)} per batch ({percent(min(1.0, ms / at.interval_ms))}), while "
                f"{cores_words(view)}: the generator waits {milliseconds(blocked)} of that, for one element at a time."
            ),
            recommendation=(
                f"If an element can be made from its index alone, let {calls} calls wait at a time: range instead of "
                f"the generator, and a map that makes the element, with num_parallel_calls={calls}"
                + pool_words(pool, threads)
            ),
            evidence={
                "stage_ms_per_batch": ms,
                "blocked_ms_per_batch": blocked,
                "stage_ms_per_element": each,
                "interval_ms": at.interval_ms,
                "worker_cores": worker_cores(view) or 0.0,
                "cores": view.cores,
                "parallel_calls": 1,
            },
            edits=(_by_number(view, stage, calls), *larger_pool),
            predicted=replace(predicted, peak_rss_delta_bytes=predict.buffered(stage.element_bytes, calls)),
        )


_COUNT = "<COUNT>"


def _by_number(view: PipelineView, stage: StageView, calls: int) -> HandWritten:
    """Replace the generator with indices and a map that makes each element."""
    file, own = function_file(stage), function_names(view)
    make, element = free_name("make", *own), free_name("element", *own)
    found = structure_of(stage)
    names = list(found) if isinstance(found, list) else []
    count = stage.elements if stage.elements is not None and stage.elements > 0 else _COUNT
    body = (
        from_python(stage.element or (), names, f"{make}, [number]", batched=False) if stage.element else ["return ..."]
    )
    yaml = [
        f"source:   # in place of {stage.id}",
        f"  range: {{stop: {count}}}   # how many elements there are",
        "stages:",
        f'  - map: {{python: "{file}:{element}", num_parallel_calls: {calls}}}',
    ]
    python = [
        f"def {make}(number):  # what the generator does for one element, in Python",
        "    ...",
        f"def {element}(number):",
        *(f"    {line}" for line in body),
        f"dataset = tf.data.Dataset.range({'...' if count == _COUNT else count})  # how many elements there are",
        f"dataset = dataset.map({element}, num_parallel_calls={calls})",
    ]
    return HandWritten(
        (stage.id,),
        "\n".join(yaml),
        "\n".join(python),
        summary=f"replace {{stage}} with range and a map with num_parallel_calls={calls}",
    )
