"""``autoshard-data-policy``: every host makes all batches, because the batches are divided and not the files."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.edits.edits import SetOption
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.hosts.autoshard import POLICY, division_of, own_shards, policy_of, reads_whole_files
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, size


class AutoshardDataPolicy(Rule):
    """Hosts that share the work of the step, but not that of the pipeline.

    Seen:
        The option auto_shard_policy is DATA although TensorFlow could divide the files, or, with --hosts, AUTO becomes
        DATA, because it finds no reader of files: a map reads them, a CsvDataset does, a generator gives the elements,
        or a stage that TensorFlow does not look through comes after the reader. A pipeline that does nothing but slice
        arrays in memory is left alone.

    Why:
        DATA divides the finished batches. Each host opens all files, reads, decodes and shuffles everything, and throws
        away all but its part: more hosts make the steps shorter, not the pipeline. Eight hosts read eight times the
        bytes.

    Fix:
        Let TensorFlow divide the files: auto_shard_policy FILE, or AUTO, with a reader that it knows and at least one
        file for each host. Or divide the names yourself, as the first stage, by the InputContext of
        distribute_datasets_from_function, and set the policy OFF.

    Ignore when:
        The data are small, or every host has to see all of them, as for a validation that is not divided.
    """

    name = "autoshard-data-policy"
    title = "Divide the files among the hosts, not the batches"
    family = "correctness"
    semantics = "values"
    about_hosts = True

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the options and the stages."""
        if own_shards(view) or view.root is None:
            return
        division = division_of(view)
        if division.applied != "DATA":
            return
        told = view.sharding
        if division.policy == "DATA":
            by_files = division_of(view, "FILE")
            if by_files.applied == "FILE" and not _are_too_few(view):
                yield self._draft(view, listed([one.label for one in by_files.readers]), None)
            return
        if told is not None and _works(view):
            yield self._draft(view, "", division.why)

    def _draft(self, view: PipelineView, readers: str, why: str | None) -> Proposal:
        assert view.root is not None  # noqa: S101 - for the type checker
        told = view.sharding
        hosts = told.hosts if told is not None else None
        each = f"each of {hosts:,} hosts" if hosts is not None else "each host"
        files = f"all {told.files:,} files" if told is not None and told.files else "all of the data"
        total = f" ({size(told.bytes)})" if told is not None and told.bytes else ""
        times = f", {told.amplification:.3g} times the data together" if told is not None and told.amplification else ""
        cause = f"AUTO becomes DATA: {why}. So {each}" if why is not None else f"With auto_shard_policy DATA, {each}"
        if why is None:
            recommendation = (
                f"Set auto_shard_policy FILE: {readers} then gets the files of its own host. Each host gets other"
                " elements than before."
            )
        else:
            recommendation = (
                "Divide the names of the files, or the numbers that the generator begins with, as the first stage:"
                " .shard(context.num_input_pipelines, context.input_pipeline_id) in a function for"
                " strategy.distribute_datasets_from_function, with auto_shard_policy OFF."
            )
        return Proposal(
            stage=view.root.id,
            sentence=f"{cause} reads {files}{total}, makes every batch, and keeps its part of each{times}.",
            recommendation=recommendation,
            evidence={
                "policy": policy_of(view),
                **({"hosts": hosts} if hosts is not None else {}),
                **({"files": told.files} if told is not None and told.files else {}),
                **({"amplification": told.amplification} if told is not None and told.amplification else {}),
            },
            edits=(SetOption(POLICY, "FILE"),) if why is None else (),
        )


def _are_too_few(view: PipelineView) -> bool:
    """Whether FILE would leave a host without a file, as far as the number of files is known."""
    told = view.sharding
    return told is not None and told.files is not None and told.files < told.hosts


def _works(view: PipelineView) -> bool:
    """Whether the pipeline reads files or computes: what hosts should not all do."""
    told = view.sharding
    return (told is not None and bool(told.files)) or any(_costs(stage) for stage in view.stages)


def _costs(stage: StageView) -> bool:
    row = traits(stage.op)
    return row.python_iterator or row.maps or reads_whole_files(stage)
