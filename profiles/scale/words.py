"""The conclusion about workers in words: pure functions of the document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pipeprof.profiles.document.findings import Better, Scale, ScaleLimit, ScaleRow
from pipeprof.profiles.scale.rates import Price
from pipeprof.profiles.wording import cores_text, percent, ratio_text, significant, span_text

_NTH: Final = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_NO_CHANGE: Final = 0.005
LIMITS: Final[dict[ScaleLimit, str]] = {
    "workers": "the workers",
    "client": "the cores of the host that reads",
    "link": "the link",
    "step": "the step",
}
"""What sets a rate, in words."""


def workers_text(workers: int, cores: float) -> str:
    """A number of workers with their cores.

    Example:
        >>> workers_text(3, 4.0), workers_text(1, 1.0)
        ('3 workers of 4 cores', '1 worker of 1 core')
    """
    return f"{workers:,} worker{'' if workers == 1 else 's'} of {cores_text(cores)}"


def adds_text(workers: int, ratio: float) -> str:
    """What one worker more than `workers` changes, from the ratio of the rates.

    Example:
        >>> adds_text(3, 1.02), adds_text(1, 1.0), adds_text(12, 0.95)
        ('a fourth adds 2.0 %', 'a second adds nothing', 'one more takes 5.0 % away')
    """
    which = f"{'an' if workers == 7 else 'a'} {_NTH[workers + 1]}" if workers + 1 < len(_NTH) else "one more"
    change = ratio - 1
    if abs(change) < _NO_CHANGE:
        return f"{which} adds nothing"
    return f"{which} adds {percent(change)}" if change > 0 else f"{which} takes {percent(-change)} away"


def gain_text(row: ScaleRow) -> str:
    """The measured gain of a number of workers, with its interval."""
    ends = ""
    if row.speedup_low is not None and row.speedup_high is not None:
        ends = f" ({span_text(row.speedup_low, row.speedup_high)})"
    return f"{ratio_text(row.speedup or 1.0)}{ends}"


def recommended(workers: int, cores: float, added: float | None) -> str:
    """The sentence for a number of workers that was measured.

    Args:
        added: The rate with one worker more over that with these; None where that was not measured.

    Example:
        >>> recommended(3, 4.0, 1.02)
        '3 workers of 4 cores; a fourth adds 2.0 %'
    """
    said = workers_text(workers, cores)
    return said if added is None else f"{said}; {adds_text(workers, added)}"


def because_of_fix(better: Better) -> str:
    """That a change is worth more than workers.

    Example:
        >>> because_of_fix(Better(title="Cache after decode", speedup=2.5))
        'no: the fix `Cache after decode` gives 2.50× without any worker'
    """
    return f"no: the fix `{better.title}` gives {ratio_text(better.speedup)} without any worker"


def because_of_step(wait_share: float) -> str:
    """That there is nothing to gain."""
    waits = f"the device waits {percent(wait_share)} of its time" if wait_share else "the device never waits"
    return f"no: {waits}, which is the most that workers could save"


def because_of_link(carried: float, alone: float) -> str:
    """That the link carries too few batches per second.

    Example:
        >>> because_of_link(5.0, 20.0)
        'no: the link carries 5.00 batches/s, and the pipeline gives 20.0 without workers'
    """
    without = f"the pipeline gives {significant(alone)} without workers"
    return f"no: the link carries {significant(carried)} batches/s, and {without}"


def because_of_price(price: Price, rates: Sequence[float], cores: float) -> str:
    """That a batch costs least without workers, though they make it sooner.

    Args:
        rates: Batches per second by the number of workers.

    Example:
        >>> because_of_price(Price(host=3.6, worker=3.6), [10.0, 12.0, 15.0], 4.0)
        'no: a million batches cost 100 without workers, and 167 with 1 worker of 4 cores'
    """
    costs = [price.of_million(workers, rate) for workers, rate in enumerate(rates)]
    best = min(range(1, len(costs)), key=costs.__getitem__)
    with_them = f"{significant(costs[best])} with {workers_text(best, cores)}"
    return f"no: a million batches cost {significant(costs[0])} without workers, and {with_them}"


def because_of_measure(found: Scale, most: ScaleRow | None = None) -> str:
    """That what was measured with workers does not pay.

    Args:
        most: The largest number of workers, as it is predicted; None where it was measured.
    """
    rows = [row for row in found.rows if row.workers]
    best = max((row for row in rows if row.speedup is not None), key=lambda row: row.speedup or 0.0)
    alone = found.rows[0].batches_per_second or found.rows[0].predicted
    said, more = workers_text(best.workers, found.worker_cores), ""
    if most is not None and most.predicted and alone:
        limit = f", limited by {LIMITS[most.limit]}" if most.limit is not None else ""
        more = f"; {most.workers:,} are predicted to give {ratio_text(most.predicted / alone)}{limit}"
    return f"no: {said} {'give' if best.workers > 1 else 'gives'} {gain_text(best)}{more}"


def promised_text(found: Scale, promised: ScaleRow) -> str:
    """That a number of workers is predicted to pay which was not measured."""
    alone = found.rows[0].batches_per_second or found.rows[0].predicted or math.inf
    said = workers_text(promised.workers, found.worker_cores)
    return f"{said} are predicted to give {ratio_text((promised.predicted or 0.0) / alone)}, which was not measured"


def predicted_text(found: Scale, workers: int) -> str:
    """The sentence where nothing was measured."""
    rates = {row.workers: row.predicted for row in found.rows}
    alone, with_them, with_more = rates.get(0), rates.get(workers), rates.get(workers + 1)
    if not workers or not alone or not with_them:
        return "no worker is predicted to pay; nothing was measured"
    said = f"{workers_text(workers, found.worker_cores)} {'are' if workers > 1 else 'is'} predicted to give"
    more = f"; {adds_text(workers, with_more / with_them)}" if with_more else ""
    return f"{said} {ratio_text(with_them / alone)}{more}; nothing was measured"


def lines_of(processing_mode: str, *, spec: bool) -> list[str]:
    """The cut as lines to write: of a spec as YAML, else as Python.

    Example:
        >>> lines_of("distributed_epoch", spec=True)
        ['- distribute: {processing_mode: distributed_epoch, service: "HOST:PORT", compression: null}']
    """
    from pipeprof.pipelines.ops.stages.distribute import Distributed

    if spec:
        return [f'- {Distributed.op}: {{processing_mode: {processing_mode}, service: "HOST:PORT", compression: null}}']
    call = f'{Distributed.op}("{processing_mode}", "HOST:PORT", compression=None)'
    module, _, name = Distributed.holder.rpartition(".")
    return [f"{name} = {module}.{name}", f"dataset = dataset.apply({name}.{call})"]
