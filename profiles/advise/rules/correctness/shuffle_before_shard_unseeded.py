"""``shuffle-before-shard-unseeded``: every host draws its own order, and then takes its part of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeprof.pipelines.changes.edits import MoveStage, PipelineEdit, SetArgument
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.shards import below_in_line, draws_order, own_shards
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed

POLICY = "experimental_distribute.auto_shard_policy"
"""Dotted path of the option."""


class ShuffleBeforeShardUnseeded(Rule):
    """Parts of orders that differ from host to host.

    Seen:
        A shuffle without a seed, or list_files, which shuffles the names by default, comes before a shard
        of the pipeline's own, or auto_shard_policy DATA is set, by which a strategy divides the batches.

    Why:
        A shard goes by position. Without a seed each host shuffles in an order of its own, so that the same element can
        be in the parts of several hosts, and another one in none: in one epoch of four hosts, about a third of the
        elements is seen by no host.

    Fix:
        Shard first and shuffle afterwards: list_files(..., shuffle=False), then shard, then shuffle. Or give the
        shuffle one seed for all hosts.

    Ignore when:
        tf.random.set_seed is called with the same number on every host, or elements may be seen more or less often.
    """

    name = "shuffle-before-shard-unseeded"
    title = "Shard before the shuffle, or give it a seed"
    family = "correctness"
    semantics = "values"

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the order of the stages."""
        if view.profile is not None and view.profile.seed is not None:
            return
        shards = own_shards(view)
        for shard in shards:
            below = below_in_line(view, shard)
            drawn = [one for one in below if draws_order(one)]
            if drawn:
                yield _draft(shard, drawn[-1], below, f"{shard.label} divides what comes out of it")
        if shards or view.root is None or view.options.get(POLICY) != "DATA":
            return
        drawn = [one for one in (view.root, *below_in_line(view, view.root)) if draws_order(one)]
        if drawn:
            yield _seeded(drawn[::-1], "auto_shard_policy DATA divides what comes out of it")


def _sentence(shuffles: Sequence[StageView], divides: str) -> str:
    have = "have" if shuffles[1:] else "has"
    return (
        f"{listed([one.label for one in shuffles])} {have} no seed, so that every host draws an order of its own, and"
        f" {divides} by position: some elements get to several hosts in an epoch, others to none."
    )


def _draft(shard: StageView, shuffle: StageView, below: list[StageView], divides: str) -> Proposal:
    """Before a shard: the names are listed as they are, or the shard goes before the shuffle."""
    edits: tuple[PipelineEdit, ...]
    if traits(shuffle.op).names_files:
        edits = (SetArgument(shuffle.id, shuffle.op, "shuffle", value=False),)
        text = f"List the names in their order: {shuffle.op}(…, shuffle=False), and shuffle them after {shard.label}."
    elif all(traits(one.op).passes and traits(one.op).one_to_one for one in below[: below.index(shuffle)]):
        edits = (MoveStage(shard.id, shard.op, before=shuffle.id),)
        text = f"Put {shard.label} before {shuffle.label}. Each host then gets the same part in every epoch."
    else:
        return _seeded([shuffle], divides)
    return Proposal(
        stage=shuffle.id,
        sentence=_sentence([shuffle], divides),
        recommendation=text,
        evidence={"shuffle": shuffle.id},
        edits=edits,
    )


def _seeded(shuffles: Sequence[StageView], divides: str) -> Proposal:
    calls = listed([f"{one.op}(…, seed=1)" for one in shuffles])
    return Proposal(
        stage=shuffles[0].id,
        sentence=_sentence(shuffles, divides),
        recommendation=f"Give all hosts one seed: {calls}; or divide the data before it.",
        evidence={"shuffle": shuffles[0].id},
        edits=tuple(SetArgument(one.id, one.op, "seed", value=1) for one in shuffles),
        covers=tuple(one.id for one in shuffles),
    )
