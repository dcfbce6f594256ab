"""``too-few-files``: fewer files than hosts that divide them."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.hosts.autoshard import below_in_line, own_shards, parts_of, reading_stage
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


class TooFewFiles(Rule):
    """More hosts than files.

    Seen:
        With --hosts, the files are divided (auto_shard_policy FILE, or AUTO, which becomes it), and there are fewer of
        them than hosts. Or the pipeline itself divides a list of names by a shard of more parts than there are names.

    Why:
        The training ends at its first step. TensorFlow raises "Could not apply FILE based sharding" on the hosts that
        have a file; those without one report that a collective operation was aborted, which looks like a fault of the
        network. AUTO does not become DATA then. With a shard of the pipeline's own, the hosts without a file end their
        epoch at once, and the others wait for them, or the training ends.

    Fix:
        Write the data as at least one file for each host, better as a multiple of the number of hosts, all of one size.
        Until then, auto_shard_policy DATA works: each host reads all files.

    Ignore when:
        Fewer hosts will train.
    """

    name = "too-few-files"
    title = "Write at least one file for each host"
    family = "correctness"
    semantics = "values"
    about_hosts = True

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the number of the files."""
        told = view.sharding
        if told is not None and told.applied == "FILE" and told.fails is not None:
            yield Proposal(
                stage=told.at[0] if told.at else None,
                sentence=f"{told.fails}.",
                recommendation=_fix(
                    told.hosts, "Until then, auto_shard_policy DATA works: every host reads all files."
                ),
                evidence={"hosts": told.hosts, **({"files": told.files} if told.files is not None else {})},
            )
            return
        for shard in own_shards(view):
            below = below_in_line(view, shard)
            names = below[-1].elements if below and reading_stage(view, below) is None else None
            reads = any(reading_stage(view, [one]) is not None for one in view.above(shard))
            if names is None or not reads or not 0 < names < parts_of(shard):
                continue
            hosts = parts_of(shard)
            end = "gets none, and ends" if hosts - names == 1 else "get none, and end"
            yield Proposal(
                stage=shard.id,
                sentence=(
                    f"{shard.label} divides {names:,} files among {hosts:,} hosts: {hosts - names:,} of them {end} at"
                    " once."
                ),
                recommendation=_fix(hosts, "Until then, train on fewer hosts, or shard the records."),
                evidence={"hosts": hosts, "files": names},
            )


def _fix(hosts: int, until: str) -> str:
    return f"Write the data as {hosts:,} files of one size, or a multiple of that. {until}"
