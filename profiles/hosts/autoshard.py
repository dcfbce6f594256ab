"""How a strategy of TensorFlow divides a pipeline among hosts: its rewrite of the graph, applied to the stages.

TensorFlow looks from the last stage to the sources for readers of files (``TFRecordDataset`` and its like), which may
stand in the function of an interleave. Where it finds them on every way, each host gets its part of the file names
(FILE); else AUTO divides the batches after the last stage, so that every host makes all of them (DATA). Shuffles of the
names come after the division. Tested on TensorFlow 2.21 by ``benchmarks/hosts``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.sharding import Policy

if TYPE_CHECKING:
    from pipeprof.profiles.view.view import PipelineView, StageView

Applied = Literal["FILE", "DATA", "OFF", "HINT"]
"""What a policy can come to."""
POLICY = "experimental_distribute.auto_shard_policy"
"""Dotted path of the option."""
READERS = "TFRecordDataset, TextLineDataset or FixedLengthRecordDataset"


class NoReaderError(Exception):
    """There is no reader of files on some way to a source; the text is a clause that says where TensorFlow gives up."""


class UnseenError(Exception):
    """What TensorFlow finds is not known; the text is a clause that says why."""


@dataclass(frozen=True)
class Division:
    """Where the data are divided.

    Attributes:
        applied: What the policy comes to; None where that is not known.
        readers: The stages before which the file names are divided, for FILE.
        why: A clause: why FILE is not possible, or what is not known.
        refused: Whether TensorFlow refuses the policy.
    """

    policy: Policy
    applied: Applied | None
    readers: tuple[StageView, ...] = ()
    why: str | None = None
    refused: bool = False


def policy_of(view: PipelineView) -> Policy:
    """The policy that the options of a pipeline set; AUTO without one, as in TensorFlow."""
    value = str(view.options.get(POLICY, "AUTO"))
    return cast("Policy", value) if value in get_args(Policy) else "AUTO"


def division_of(view: PipelineView, policy: Policy | None = None) -> Division:
    """What a strategy makes of a pipeline.

    Args:
        policy: To use in place of the pipeline's own.
    """
    policy = policy or policy_of(view)
    if policy in ("OFF", "HINT", "DATA"):
        return Division(policy, cast("Applied", policy))
    try:
        if view.root is None:
            raise UnseenError("the stages are not known")
        return Division(policy, "FILE", tuple(readers_below(view, view.root)))
    except NoReaderError as problem:
        return Division(policy, "DATA" if policy == "AUTO" else None, why=str(problem), refused=policy == "FILE")
    except UnseenError as problem:
        return Division(policy, None, why=str(problem))


def readers_below(view: PipelineView, stage: StageView) -> list[StageView]:
    """The stages before which TensorFlow divides the file names, from one stage on downwards.

    Raises:
        NoReaderError: A way ends without a reader of files.
        UnseenError: It is not known.
    """
    found: list[StageView] = []
    todo = [stage]
    while todo:
        one = todo.pop()
        row = traits(one.op)
        if row.opaque:
            raise UnseenError(f"what {one.label} makes is known only after a run")
        if row.autoshard == "reader" or (row.opens and _opens_files(view, one)):
            found.append(one)
            continue
        inputs = [view.by_id[name] for name in one.inputs if name in view.by_id]
        if row.autoshard is None or not inputs:
            raise NoReaderError(_gives_up(view, one, source=not inputs))
        todo += inputs if row.autoshard == "sides" else inputs[:1]
    return list({one.id: one for one in found}.values())


def _opens_files(view: PipelineView, stage: StageView) -> bool:
    """Whether the function of an interleave reads files.

    Raises:
        UnseenError: Its function is not known.
    """
    inside = view.inside(stage)
    if any(traits(one.op).opaque for one in inside) or not (inside or stage.function is None or _ops(stage)):
        raise UnseenError(f"what the function of {stage.label} reads is known only after a run")
    return any(traits(one.op).autoshard == "reader" for one in inside)


def _ops(stage: StageView) -> bool:
    return stage.function is not None and stage.function.ops is not None


def _gives_up(view: PipelineView, stage: StageView, *, source: bool) -> str:
    """Why TensorFlow finds no reader of files at a stage, as a clause."""
    if not source:
        return f"TensorFlow looks for readers of files ({READERS}), and {stage.label} ends the search"
    reading = next((one for one in view.above(stage) if reads_whole_files(one)), None)
    if reading is not None:
        return f"{reading.label} reads the files, and TensorFlow divides files only for {READERS}"
    return f"TensorFlow divides files only for {READERS}, and {stage.label} is none"


def reads_whole_files(stage: StageView) -> bool:
    """Whether the function of a map reads a file for each name that it gets."""
    return bool(stage.function is not None and "ReadFile" in (stage.function.ops or ()) and traits(stage.op).maps)


def own_shards(view: PipelineView) -> list[StageView]:
    """The shards that the pipeline has written itself, outside of functions, the last one first."""
    root = view.root
    line = [root, *view.below(root)] if root is not None else []
    return [one for one in line if one.owner is None and parts_of(one) > 1]


def parts_of(stage: StageView) -> int:
    """Number of parts that a shard divides its elements into; 0 of any other stage."""
    parts = stage.arguments.get("num_shards")
    return parts if traits(stage.op).cardinality == "share" and isinstance(parts, int) else 0


def below_in_line(view: PipelineView, stage: StageView) -> list[StageView]:
    """The stages that a stage gets its elements from, nearest first, down to a source or to where lines meet."""
    found: dict[str, StageView] = {}
    at = view.input_of(stage)
    while at is not None and at.id not in found:
        found[at.id] = at
        at = view.input_of(at)
    return list(found.values())


def reading_stage(view: PipelineView, below: list[StageView]) -> StageView | None:
    """The first of the stages of a line, from its source on, that reads files; None without one that is known to."""
    for stage in reversed(below):
        opens = traits(stage.op).opens and any(traits(one.op).autoshard == "reader" for one in view.inside(stage))
        if opens or traits(stage.op).autoshard == "reader" or reads_whole_files(stage):
            return stage
    return None


def draws_order(stage: StageView) -> bool:
    """Whether a stage puts its elements in an order that every process draws anew, because it has no seed."""
    if stage.injected or stage.arguments.get("seed") is not None:
        return False
    if traits(stage.op).names_files:
        return stage.arguments.get("shuffle") is not False
    buffer = stage.arguments.get("buffer_size")
    return traits(stage.op).shuffles and isinstance(buffer, int) and (buffer > 1 or buffer < 0)
