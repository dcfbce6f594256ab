"""A pipeline as a list of calls: what a change does to it, and which calls a replay of their outputs can replace.

`apply` is the one interpreter of changes.

Addresses in changes are those before all of them: a stage that was moved is changed where it is now, one that was
replaced is refused. Stages that are inserted after the same one come in the order of their changes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeprof.pipelines.addresses import join, pipeline_of
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.errors import PlainError, escape
from pipeprof.pipelines.meaning.traits import traits


class CannotChangeError(PlainError):
    """A change does not fit the pipeline.

    Attributes:
        address: Of the stage that prevents it; the op of a new one; None where it is none.
    """

    def __init__(self, address: str | None, reason: str) -> None:
        super().__init__(escape(f"{address}: {reason}" if address else reason))
        self.address = address
        self.reason = reason


def first_line(error: Exception) -> str:
    """Return the first line of an error of TensorFlow, without the names of nodes."""
    text = re.sub(r"\{\{[^{}]*\}\}\s*|\s*\[Op:.*", "", str(getattr(error, "message", None) or error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    # AutoGraph puts the lines of the user's function before what happened there.
    return lines[-1] if lines[0] == "in user code:" else lines[0]


@dataclass(frozen=True)
class Replay:
    """Stages to replace, and the size of the replay.

    Attributes:
        stages: Addresses of stages, in the order of the data; the source may be the first. Those that follow each other
            are replaced together, and all that give elements of the same kind have one replay.
        batches: The replay holds the outputs for so many batches of the pipeline, where an epoch has as many.
        per_batch: Outputs of all of them per batch, where the stages do not fix that; None where it is not known.
        inputs: Together with `outputs`: that the stages draw so many inputs for so many outputs, where they do not fix
            that. 0 where it is not known.
    """

    stages: Sequence[str]
    batches: int = 3
    per_batch: float | None = None
    inputs: int = 0
    outputs: int = 0
    most_bytes: int = 256_000_000
    passing: Sequence[str] = ()


@dataclass(eq=False)
class ChainStage:
    """A call: a source or a stage.

    Attributes:
        op: Empty for a source that is not written.
        arguments: Of a call that was there before only those that changes have set.
        address: Before the changes of this step; None for one that is new in it.
        origin: Its address before the changes of all steps; None for a new one.
        inside: Pipelines that are its inputs or that its functions make, by what is between its address and theirs.
        changed: Names of the arguments that changes have set, or taken away.
        follows: Address of the stage after which a new one was inserted.
        instead: Address of the stage of the same op in whose place a new one stands.
        moved: A change has moved it.
        whole_batches: Its function is that of one element, and is applied to batches of them.
        flat: It gets each element as the tuple of its components, and gives as many.
        replaces: Addresses of the stages in whose place flat ones stand, on the last of these.
        again: It is made again even where nothing of it changes: with state of its own.
        build: Builds it from the dataset before it, which is None for a source; None for TensorFlow's own.
    """

    op: str
    arguments: dict[str, Any] = field(default_factory=dict)
    address: str | None = None
    origin: str | None = None
    inside: dict[str, Chain] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    follows: str | None = None
    instead: str | None = None
    moved: bool = False
    whole_batches: bool = False
    flat: bool = False
    replaces: tuple[str, ...] = ()
    again: bool = False
    build: Callable[[Any], Any] | None = None


@dataclass(eq=False)
class Chain:
    """A pipeline: its source, then its stages."""

    calls: list[ChainStage]
    options: dict[str, Any] = field(default_factory=dict)
    """Those that changes have set, by their dotted paths."""
    gone: set[str] = field(default_factory=set)
    """Addresses of what changes have replaced, as have those below them."""

    @property
    def source(self) -> ChainStage:
        """The first call."""
        return self.calls[0]

    @property
    def stages(self) -> Sequence[ChainStage]:
        """The calls after the first."""
        return self.calls[1:]

    def lines(self) -> Iterator[Chain]:
        """Yield it and all pipelines inside."""
        yield self
        for call in self.calls:
            for inner in call.inside.values():
                yield from inner.lines()

    def find(self, address: str) -> tuple[Chain, int]:
        """Return the pipeline of a source or stage, and where it is there now."""
        if any(f"{address}.".startswith(f"{gone}.") for gone in self.gone):
            raise CannotChangeError(address, "it was replaced by an earlier edit")
        for line in self.lines():
            for index, call in enumerate(line.calls):
                if call.address == address:
                    return line, index
        raise CannotChangeError(address, "the pipeline has no stage at this address")

    def copy(self) -> Chain:
        """Copy it, so that what changes the copy does not change it."""
        return Chain([_copy(call) for call in self.calls], dict(self.options), set(self.gone))

    def begin_step(self, at: str = "") -> None:
        """Take the addresses in further changes as those of the pipeline that the changes until now have made."""
        self.gone.clear()
        for index, call in enumerate(self.calls):
            call.address = join(at, "stages", index - 1) if index else join(at, "source")
            call.follows = None
            for key, inner in call.inside.items():
                inner.begin_step(join(call.address, key))


def _copy(call: ChainStage) -> ChainStage:
    values = {**vars(call), "arguments": dict(call.arguments)}
    return ChainStage(**{**values, "inside": {key: inner.copy() for key, inner in call.inside.items()}})


def chain_of(stages: Iterable[tuple[str, str]]) -> Chain:
    """Return the chain of sources and stages, given as addresses and ops, those of each pipeline in order.

    A pipeline whose source is not given gets one without an op.

    Example:
        >>> made = chain_of([("source", "range"), ("stages.0", "flat_map"), ("stages.0.source", "range")])
        >>> [call.op for call in made.calls], [*made.calls[1].inside]
        (['range', 'flat_map'], [''])
    """
    whole = Chain([])
    known: dict[str, ChainStage] = {}
    for address, op in stages:
        known[address] = call = ChainStage(op, address=address, origin=address)
        pipeline = pipeline_of(address)
        owner = pipeline
        while owner and owner not in known:
            owner = owner.rpartition(".")[0]
        key = pipeline[len(owner) :].lstrip(".")
        line = known[owner].inside.setdefault(key, Chain([])) if owner else whole
        source = join(pipeline, "source")
        if not line.calls and address != source:
            line.calls.append(ChainStage("", address=source, origin=source))
        line.calls.append(call)
    return whole


def apply(chain: Chain, *changes: PipelineEdit) -> Chain:
    """Return a chain with changes, made one after the other.

    Raises:
        CannotChangeError: One of them does not fit the pipeline.
    """
    made = chain.copy()
    for change in changes:
        match change:
            case InsertStage():
                _insert(made, change)
            case SetArgument():
                _set_argument(_expected(made, change.stage, change.op), change)
            case SetOption():
                made.options[change.path] = change.value
            case MoveStage():
                _move(made, change)
            case ReplaceStages():
                _replace(made, change)
            case VectoriseMap():
                _to_whole_batches(made, change)
            case SetEnvironment():
                pass  # of the process, before it starts
            case _:
                raise TypeError(type(change).__name__)
    return made


def _expected(chain: Chain, address: str, op: str) -> ChainStage:
    line, index = chain.find(address)
    call = line.calls[index]
    if call.op != op:
        kind = call.op or "no stage"
        reason = f"it is {kind}, expected {op}: the edit was made for another version of the pipeline"
        raise CannotChangeError(address, reason)
    return call


def _set_argument(call: ChainStage, change: SetArgument) -> None:
    call.arguments.pop(change.argument, None)
    if change.value is not None:
        call.arguments[change.argument] = change.value
    call.changed |= {change.argument}


def _insert(chain: Chain, change: InsertStage) -> None:
    call = ChainStage(change.op, dict(change.arguments))
    if change.after is None:
        chain.calls.append(call)
        return
    line, index = chain.find(change.after)
    call.follows = change.after
    while index + 1 < len(line.calls) and line.calls[index + 1].follows == call.follows:
        index += 1
    line.calls.insert(index + 1, call)


def _shift(line: Chain, index: int, target: int, *, before: bool) -> ChainStage:
    call = line.calls.pop(index)
    call.moved = True
    line.calls.insert(target - (index < target) + (not before), call)
    return call


def _pair(chain: Chain, address: str, other: str) -> tuple[Chain, int, int | None]:
    """Return the pipeline of a stage, where it is there, and where another one is; None if that is in another one."""
    line, index = chain.find(address)
    beside, target = chain.find(other)
    return line, index, target if beside is line else None


def _move(chain: Chain, change: MoveStage) -> None:
    _expected(chain, change.stage, change.op)
    line, index, target = _pair(chain, change.stage, change.before)
    if target is None:
        raise CannotChangeError(change.stage, f"{change.before} is in another line: a stage moves only along its own")
    if 0 in (index, target):
        raise CannotChangeError(change.stage, "a stage cannot come before the source")
    call = line.calls[index]
    if index != target:
        _shift(line, index, target, before=True)
    after = line.calls[line.calls.index(call) + 1 :]
    kept = next((one for one in after if one.address is None and traits(one.op).stores), None)
    if kept is not None and traits(call.op).repeats:
        # The changes were made for other places: an earlier one has moved what they are about.
        reason = f"{kept.op} would stand after {call.op}, where no pass ends, and never be full"
        raise CannotChangeError(change.stage, reason)


def _replace(chain: Chain, change: ReplaceStages) -> None:
    if not change.stages:
        raise CannotChangeError(None, "no stage to replace is named: expected at least one")
    found = [chain.find(address) for address in change.stages]
    line, first = found[0]
    if any(other is not line or index != first + place for place, (other, index) in enumerate(found)):
        raise CannotChangeError(change.stages[0], f"{', '.join(change.stages)} do not follow each other")
    if first == 0 and not change.by:
        reason = "a pipeline without a source has no elements: it can be replaced, not removed"
        raise CannotChangeError(change.stages[0], reason)
    new = [ChainStage(stage.op, dict(stage.arguments), flat=change.flat) for stage in change.by]
    for call, old in zip(new, line.calls[first : first + len(found)], strict=False):
        call.instead = old.address if call.op == old.op else None
    if new and change.flat:
        new[-1].replaces = change.stages
    line.calls[first : first + len(found)] = new
    chain.gone.update(change.stages)


def _to_whole_batches(chain: Chain, change: VectoriseMap) -> None:
    line, index, target = _pair(chain, change.stage, change.batch)
    if not traits(line.calls[index].op).maps:
        raise CannotChangeError(change.stage, f"{line.calls[index].op} is not a map")
    if target is None or target < index:
        raise CannotChangeError(change.stage, f"{change.batch} is not after it in the same line")
    batch = traits(line.calls[target].op)
    if not (batch.stacks and batch.keeps_shapes):
        raise CannotChangeError(change.batch, f"{line.calls[target].op} is not a batch of elements of one shape")
    for between in line.calls[index + 1 : target]:
        if not traits(between.op).by_position:
            reason = f"{between.op} between the map and the batch depends on what the map gives"
            raise CannotChangeError(between.address or between.op, reason)
    _shift(line, index, target, before=False).whole_batches = True


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
