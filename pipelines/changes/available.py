"""Stages whose outputs can be replayed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Mapping, Sequence

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.meaning.traits import traits


def why_no_replay(
    written: Sequence[tuple[str, str]], stages: Sequence[str], passing: Collection[str] = ()
) -> str | None:
    """Return why stages cannot be replaced by a replay of what they gave, in words; None where they can.

    Args:
        written: Address and op of each stage, the source of each line first.
        stages: Addresses of the stages to replace, those of each line in the order of the data. Those that follow each
            other are replaced together.
        passing: Addresses of filters that were seen to pass nearly all elements, whatever their values.

    Example:
        >>> why_no_replay([("source", "range"), ("stages.0", "map"), ("stages.1", "unique")], ["stages.0"])
        'unique after it depends on the values, which a replay repeats'
    """
    ops = dict(written)
    if not stages or not ops.keys() >= set(stages):
        return "it is not shown by the graph"
    reasons = (_why_not(way, run, passing) for way, run in ways_of(ops, stages))
    return next((reason for reason in reasons if reason is not None), None)


def ways_of(written: Mapping[str, str], stages: Sequence[str]) -> Iterator[tuple[list[tuple[str, str]], list[str]]]:
    """Yield those of the stages that follow each other, with the way of their elements to the end of the pipeline.

    The way has address and op of each stage from the source of the line on, through the stages that read it.

    Example:
        >>> written = dict.fromkeys(["source", "stages.0", "stages.0.inputs.1.source", "stages.1"], "map")
        >>> [(len(way), run) for way, run in ways_of(written, ["stages.0.inputs.1.source", "stages.0", "stages.1"])]
        [(3, ['stages.0.inputs.1.source']), (3, ['stages.0', 'stages.1'])]
    """
    lines: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for address, op in written.items():
        if (pipeline := pipeline_of(address)) != address:
            lines[pipeline].append((address, op))
    for pipeline in dict.fromkeys(map(pipeline_of, stages)):
        wanted = set(stages).intersection(address for address, _ in lines[pipeline])
        way = _way(lines, written, pipeline)
        run: list[str] = []
        for address, _ in [*way, ("", "")]:
            if address in wanted:
                run.append(address)
            elif run:
                yield way, run
                run = []


def _way(lines: Mapping[str, list[tuple[str, str]]], written: Container[str], pipeline: str) -> list[tuple[str, str]]:
    line = lines.get(pipeline, [])
    reader = pipeline
    while reader and reader not in written:
        reader = reader.rpartition(".")[0]
    if not reader:
        return line
    after = _way(lines, written, pipeline_of(reader))
    return [*line, *after[[address for address, _ in after].index(reader) :]]


def _why_not(line: Sequence[tuple[str, str]], stages: Sequence[str], passing: Collection[str]) -> str | None:
    """As `why_no_replay`, for stages that follow each other on one way."""
    first = [address for address, _ in line].index(stages[0])
    own = pipeline_of(stages[0])
    if any(own == address for address, _ in line):
        return "it is inside a function, whose datasets are made anew for each element"
    for place, (_, op) in enumerate(line[max(first, 1) : first + len(stages)], max(first, 1)):
        row = traits(op)
        if row.by_position and (row.one_to_one or not first) and first < place < first + len(stages) - 1:
            # Of a source that is replaced as well, the replay may repeat what it likes.
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
    return decides or groups or row.nests or row.opaque or row.chooses
