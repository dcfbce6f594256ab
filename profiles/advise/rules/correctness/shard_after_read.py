"""``shard-after-read``: a shard that comes after the files have been read."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import MoveStage, PipelineEdit, SetArgument
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.snippets import stage_call
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.shards import below_in_line, draws_order, own_shards, parts_of, reading_stage
from pipeprof.profiles.view.view import PipelineView, StageView


class ShardAfterRead(Rule):
    """A shard after the reader of the files.

    Seen:
        A shard with several parts comes after the stage that reads the files: an interleave over a reader, a reader, or
        a map with tf.io.read_file. A shard of more parts than there are files is left alone: it cannot divide them.

    Why:
        A shard drops what it has been given. After the reader, each host reads all files, and does all work before the
        shard, for its part of the elements: with eight hosts, eight times the bytes come from the disk or the network.

    Fix:
        Divide the names of the files: shard directly after list_files(..., shuffle=False) or after the list of the
        names, before interleave or the map that reads them. Shuffle the names after it. The hosts then get other
        elements than before: whole files.

    Ignore when:
        The files are fewer than the hosts, of very different sizes, or sorted so that each host needs some of each.
    """

    name = "shard-after-read"
    title = "Shard the names of the files, not what is read"
    family = "correctness"
    semantics = "values"
    yields_to = ("drop-after-expensive-map", "read-once-per-branch")

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the order of the stages."""
        for shard in own_shards(view):
            below = below_in_line(view, shard)
            reader = reading_stage(view, below)
            if reader is None:
                continue
            source, parts = below[-1], parts_of(shard)
            direct = traits(reader.op).reads_files
            files = None if direct else source.elements
            if files is not None and 0 <= files < parts:
                continue
            yield _draft(shard, reader, below, parts, files)


def _draft(shard: StageView, reader: StageView, below: list[StageView], parts: int, files: int | None) -> Proposal:
    source = below[-1]
    call = stage_call(shard, shard.arguments)
    what = f"all {files:,} files" if files is not None and files > 0 else "all files"
    edits: tuple[PipelineEdit, ...] = ()
    if reader is source:
        place = f"tf.data.Dataset.list_files(pattern, shuffle=False){call}.interleave(tf.data.{source.op})"
        recommendation = f"Read the files after the shard: {place}."
    else:
        first = below[-2]
        edits = (MoveStage(shard.id, shard.op, before=first.id),)
        text = f"Put {call} directly after {source.label}, before {first.label}"
        if draws_order(source):
            edits = (SetArgument(source.id, source.op, "shuffle", value=False), *edits)
            text += ", and list the names with shuffle=False, so that every host divides the same list"
        recommendation = f"{text}. Each host then gets other elements: those of its own files."
    return Proposal(
        stage=shard.id,
        sentence=(
            f"{shard.label} comes after {reader.label}: each of {parts:,} hosts reads {what} and keeps one of"
            f" {parts:,} elements, so that together they read the data {parts:,} times."
        ),
        recommendation=recommendation,
        evidence={"hosts": parts, "amplification": float(parts), **({"files": files} if files else {})},
        edits=edits,
    )
