"""A pipeline as a list of calls, and what a change does to it: the one interpreter of changes.

Addresses in changes are those before all of them: a stage that was moved is changed where it is now, one that was
replaced is refused. Stages that are inserted after the same one come in the order of their changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    """A pipeline: its source, then its stages.

    Attributes:
        options: Those that changes have set, by their dotted paths.
        gone: Addresses of what changes have replaced, as have those below them.
    """

    calls: list[ChainStage]
    options: dict[str, Any] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

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
                raise CannotChangeError(None, f"{type(change).__name__} has to be written by hand: no tool applies it")
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
