"""What a stage does that gets fewer elements, or whole batches of them."""

from __future__ import annotations

import math
from dataclasses import replace

from pipeprof.profiles.model.costs import Costs
from pipeprof.profiles.model.flow import Part


def fewer(part: Part, share: float) -> Part:
    """A stage that gets a share of its elements."""
    calls = part.calls_per_batch * share if part.calls_per_batch is not None else None
    each = part.per_batch * share if part.per_batch is not None else None
    passes = math.ceil(part.passes * share) if part.passes is not None and part.passes > 0 else part.passes
    return replace(part.scaled(share), calls_per_batch=calls, per_batch=each, passes=passes)


def on_batches(part: Part, size: float, costs: Costs) -> Part:
    """A map whose function gets whole batches: a call and its short ops cost once, passing over the bytes as often."""
    calls = part.calls_per_batch or size
    batches = calls / size
    # Where the trace shows no op, a part of what the function takes itself stays.
    own_ms = costs.batched_share * max(0.0, part.computing_ms - part.calling_ms)
    if part.op_ms or part.parsing_ms:
        # An op that parses has the cost of its features in each call.
        others_ms = sum(_op_on_batches(ms, calls, batches, costs) for ms in part.op_ms)
        passed_ms = others_ms + costs.batched_share * part.parsing_ms
    else:
        passed_ms = own_ms
    bytes_ms = calls * (part.element_bytes or 0.0) / costs.bytes_per_us / 1e3
    ms = batches * costs.call_us / 1e3 + max(passed_ms, bytes_ms)
    each = part.element_bytes * size if part.element_bytes is not None else None
    new = replace(part.scaled(0.0), computing_ms=ms, cpu_ms=ms, calls_per_batch=batches)
    return replace(new, per_batch=batches, element_bytes=each, fused=None)


def _op_on_batches(ms: float, calls: float, batches: float, costs: Costs) -> float:
    """Time of an op on whole batches: what each element takes beyond the fixed cost of an op."""
    fixed_ms = costs.op_us / 1e3
    beyond = max(0.0, ms / calls - fixed_ms)
    return batches * fixed_ms + calls * beyond
