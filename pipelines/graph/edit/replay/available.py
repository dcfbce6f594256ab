"""Stages whose outputs can be replayed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipeprof.pipelines.ops.traits import traits


def why_no_replay(line: Sequence[tuple[str, str]], stages: Sequence[str], passing: Collection[str] = ()) -> str | None:
    """Return why stages cannot be replaced by a replay of what they gave, in words; None where they can.

    Args:
        line: Address and op of each stage outside of all functions, the source first.
        stages: Addresses of the stages to replace, in the order of the data.
        passing: Addresses of filters that were seen to pass nearly all elements, whatever their values.

    Example:
        >>> why_no_replay([("source", "range"), ("stages.0", "map"), ("stages.1", "unique")], ["stages.0"])
        'unique after it depends on the values, which a replay repeats'
    """
    addresses = [address for address, _ in line]
    if not stages or stages[0] not in addresses:
        return "it is inside a nested pipeline"
    first = addresses.index(stages[0])
    if addresses[first : first + len(stages)] != list(stages):
        return "its stages do not follow each other"
    for place, (_, op) in enumerate(line[max(first, 1) : first + len(stages)], max(first, 1)):
        row = traits(op)
        if row.by_position and row.one_to_one and first < place < first + len(stages) - 1:
            continue
        if row.by_position or row.stores or row.ends_early or (row.restarts and not row.nests):
            return f"{op} computes nothing that a replay could replace"
        if row.combines or row.windows:
            return f"{op} gives no elements of one input"
    for address, op in line[first + len(stages) :]:
        if address not in passing and _reads_values(op):
            return f"{op} after it depends on the values, which a replay repeats"
    return None


def _reads_values(op: str) -> bool:
    """Whether how many elements a stage gives, or which files it reads, depends on the values of its input.

    One that collects its elements in windows by their values gives as many of them in the long run, whatever they are.
    """
    row = traits(op)
    if row.collects_windows:
        return False
    decides = row.drops and not row.by_position
    groups = row.function is not None and not row.single_function and not row.once_each
    return decides or groups or row.nests or row.opaque
