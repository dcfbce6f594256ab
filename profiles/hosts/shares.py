"""What each of several hosts reads of a pipeline's files, and how many records and steps it gets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.sharding import HostShare, Sharding
from pipeprof.profiles.hosts.autoshard import Division, division_of, own_shards, parts_of
from pipeprof.profiles.hosts.files import NamedFiles, SourceFile, count_records
from pipeprof.profiles.wording import listed

if TYPE_CHECKING:
    from pipeprof.profiles.view.view import PipelineView, StageView


@dataclass(frozen=True)
class _Flow:
    """Elements at a place of the pipeline; the last of them may have fewer rows than the others."""

    elements: int
    rows: int | None = None
    last: int = 0

    @property
    def records(self) -> int:
        """Rows together; elements, where they are no batches."""
        if self.rows is None:
            return self.elements
        return (self.elements - 1) * self.rows + self.last if self.elements else 0


def sharding_of(view: PipelineView, hosts: int, files: NamedFiles) -> Sharding:
    """What each host reads in one epoch.

    Args:
        hosts: Number of hosts, at least 1.
    """
    return _Shares(view, hosts, files).sharding()


def sharding_of_calls(parts: Sequence[tuple[PipelineView, NamedFiles]], hosts: int) -> Sharding:
    """What hosts read of a function that each of them calls with its number, and that divides the data in Python.

    Args:
        parts: The pipeline and the files of each host that it was called for, from host 0 on.
    """
    found = [_Shares(view, hosts, files).of_host(index) for index, (view, files) in enumerate(parts)]
    unknown = [text for one in found for text in one.unknown]
    if len(parts) < hosts:
        unknown.append(f"the function was called for the first {len(parts):,} hosts alone")
    known = [one.files for one in found if one.files is not None]
    # Whether two hosts get the same of what is no file cannot be seen.
    if hosts > 1 and len(known) == len(parts) and all(files == known[0] for files in known):
        return sharding_of(parts[0][0], hosts, parts[0][1])
    every = {file.name: file for files in known for file in files}
    whole = list(every.values()) if len(known) == hosts else None
    if not known:
        unknown.append("whether the hosts get different elements: the function divides them in Python")
    shares = [one.share for one in found]
    total = _sum([file.bytes for file in whole]) if whole is not None else None
    return Sharding(
        hosts=hosts,
        policy=division_of(parts[0][0]).policy,
        applied="own",
        files=len(whole) if whole is not None else None,
        bytes=total,
        amplification=_ratio(shares, len(whole) if whole is not None else None, total),
        shares=shares,
        unknown=list(dict.fromkeys(unknown)),
    )


@dataclass(frozen=True)
class _HostPart:
    """What one host reads by itself; `files` is None where they are not known."""

    share: HostShare
    files: list[SourceFile] | None
    unknown: list[str]


class _Shares:
    def __init__(self, view: PipelineView, hosts: int, files: NamedFiles) -> None:
        self._view, self._hosts, self._files = view, hosts, files
        self._unknown: list[str] = []
        self._counted: dict[str, dict[str, int] | None] = {}

    def sharding(self) -> Sharding:
        """Work it out: a shard of the pipeline's own first, else the strategy's division."""
        division = division_of(self._view)
        shards = own_shards(self._view)
        if len(shards) == 1 and not shards[0].depth:
            return self._by_shard(shards[0], division)
        if shards:
            division = Division(
                division.policy, None, why=f"{listed([one.label for one in shards])} divide parts of it"
            )
        sources = self._sources()
        whole = self._whole(sources)
        if division.applied == "FILE":
            parts = [self._names_before(reader) for reader in division.readers]
            fails = _too_few(division, parts, self._hosts)
            hosts = range(0 if fails else self._hosts)
            shares = [self._share_of_files(division, parts, index) for index in hosts]
        elif division.applied is None:
            shares, fails = [], _refusal(division)
        else:
            shares, fails = self._shares_of_all(division, whole), None
        return self._sharding(
            division, shares, whole, fails=fails, at=[stage.id for stage in self._places(division)], why=division.why
        )

    def of_host(self, index: int) -> _HostPart:
        """What a host reads whose pipeline this is."""
        files = self._whole(self._sources())
        flow = self._flow_at_end({}, index)
        share = HostShare(
            index=index,
            files=len(files) if files is not None else None,
            bytes=_sum([file.bytes for file in files]) if files is not None else None,
            records=flow.records if flow is not None else None,
            steps=flow.elements if flow is not None and flow.rows is not None else None,
        )
        return _HostPart(share, files, self._unknown)

    def _places(self, division: Division) -> Sequence[StageView]:
        if division.applied == "FILE":
            return division.readers
        root = self._view.root
        while root is not None and traits(root.op).prefetches and len(root.inputs) == 1:
            root = self._view.by_id.get(root.inputs[0])
        return [root] if division.applied == "DATA" and root is not None else []

    def _sharding(
        self,
        division: Division,
        shares: list[HostShare],
        whole: list[SourceFile] | None,
        *,
        fails: str | None,
        at: list[str],
        why: str | None,
        by_shard: bool = False,
    ) -> Sharding:
        total = _sum([file.bytes for file in whole]) if whole is not None else None
        read = _ratio(shares, len(whole) if whole is not None else None, total)
        return Sharding(
            hosts=self._hosts,
            policy=division.policy,
            applied="own" if by_shard else division.applied,
            why=why,
            at=at,
            fails=fails,
            files=len(whole) if whole is not None else None,
            bytes=total,
            amplification=read,
            shares=shares,
            unknown=list(dict.fromkeys(self._unknown)),
        )

    # The files.

    def _sources(self) -> list[StageView]:
        """The sources of the pipeline that name files, each once."""
        found = [stage for stage in self._view.stages if not stage.inputs and self._files.names_files(stage.id)]
        return [stage for stage in found if stage.owner is None]

    def _whole(self, sources: Sequence[StageView]) -> list[SourceFile] | None:
        """All files that the pipeline reads; None where some are not known, or none is read."""
        found: list[SourceFile] = []
        for source in sources:
            files = self._files.of(source.id)
            if files is None:
                self._unknown.append(f"the files of {source.label} are elsewhere, or cannot be listed")
                return None
            found += files
        return found if sources else None

    def _names_before(self, reader: StageView) -> list[SourceFile] | None:
        """The files whose names get to a reader in TensorFlow's order; None where they are not known."""
        at: StageView | None = reader
        while at is not None and at.inputs:
            at = self._view.input_of(at)
            if at is not None and at.inputs and not (_keeps_names(at) or parts_of(at)):
                self._unknown.append(f"{at.label} changes the list of files before it is divided")
                return None
        return self._files.of(at.id) if at is not None else None

    # The hosts.

    def _share_of_files(self, division: Division, parts: list[list[SourceFile] | None], index: int) -> HostShare:
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return HostShare(index=index)
        mine = [part[index :: self._hosts] for part in known]
        every = [file for part in mine for file in part]
        ids = [reader.id for reader in division.readers]
        flow = self._flow_at_end(dict(zip(ids, mine, strict=True)), index)
        return HostShare(
            index=index,
            files=len(every),
            bytes=_sum([file.bytes for file in every]),
            records=flow.records if flow is not None else None,
            steps=_steps(flow, self._hosts) if flow is not None else None,
        )

    def _shares_of_all(self, division: Division, whole: list[SourceFile] | None) -> list[HostShare]:
        """Every host reads all files; the batches are divided among the hosts, or not at all."""
        flow = self._flow_at_end({}, 0)
        files = len(whole) if whole is not None else None
        size = _sum([file.bytes for file in whole]) if whole is not None else None
        shares = []
        for index in range(self._hosts):
            records = steps = None
            if flow is not None and division.applied == "DATA":
                records, steps = _part_of_batches(flow, self._hosts, index)
            elif flow is not None:
                records, steps = flow.records, _steps(flow, self._hosts)
            shares.append(HostShare(index=index, files=files, bytes=size, records=records, steps=steps))
        return shares

    # The records.

    def _flow_at_end(self, parts: Mapping[str, Sequence[SourceFile]], index: int) -> _Flow | None:
        """What comes out of the pipeline on a host, which gets these files at these readers, all at others."""
        root = self._view.root
        return self._flow(root, parts, index) if root is not None else None

    def _flow(self, stage: StageView, parts: Mapping[str, Sequence[SourceFile]], index: int) -> _Flow | None:
        if traits(stage.op).autoshard == "reader" or any(
            traits(one.op).autoshard == "reader" for one in self._view.inside(stage)
        ):
            return self._read(stage, parts.get(stage.id))
        inputs = [self._view.by_id[name] for name in stage.inputs if name in self._view.by_id]
        if not inputs:
            gives_names = traits(stage.op).names_files or traits(stage.op).slices
            names = self._files.of(stage.id) if gives_names and self._files.names_files(stage.id) else None
            count = len(names) if names is not None else stage.elements
            return _Flow(count) if count is not None and count >= 0 else None
        flows = [self._flow(one, parts, index) for one in inputs]
        known = [flow for flow in flows if flow is not None]
        if len(known) < len(flows):
            return None
        return _after(stage, known[0], index) if len(known) == 1 else _together(stage, known)

    def _read(self, reader: StageView, mine: Sequence[SourceFile] | None) -> _Flow | None:
        """The records in the files that a reader gets; all of its files if none are given."""
        every = self._names_before(reader)
        inside = self._view.inside(reader)
        reading = next((one for one in inside if traits(one.op).autoshard == "reader"), reader)
        if every is None or any(not traits(one.op).one_to_one for one in inside if one is not reading):
            return None
        if reader.id not in self._counted:
            found = count_records(every, reading.op, reading.arguments)
            if found is None:
                self._unknown.append("the records of the files were not counted: they are many, or not readable here")
            names = [file.name for file in every]
            self._counted[reader.id] = dict(zip(names, found, strict=True)) if found is not None else None
        by_name = self._counted[reader.id]
        if not by_name:
            return None
        flow = _Flow(sum(by_name[file.name] for file in (every if mine is None else mine)))
        size = traits(reader.op).loads_batches
        if size is None:
            return flow
        return _batched(flow, reader.arguments.get(size), drop=reader.arguments.get("drop_final_batch") is True)

    # A shard of the pipeline's own.

    def _by_shard(self, shard: StageView, division: Division) -> Sharding:
        whole = self._whole(self._sources())
        parts = parts_of(shard)
        names = self._names_at(shard)
        reader = next((one for one in self._view.above(shard) if traits(one.op).opens), None)
        fails = why = None
        shares: list[HostShare] = []
        if parts != self._hosts:
            fails = f"{shard.label} divides the data into {parts:,} parts, and there are {self._hosts:,} hosts"
        else:
            for index in range(parts):
                mine = names[index::parts] if names is not None else whole
                at = {reader.id: mine} if names is not None and mine is not None and reader is not None else {}
                flow = self._flow_at_end(at, index)
                shares.append(
                    HostShare(
                        index=index,
                        files=len(mine) if mine is not None else None,
                        bytes=_sum([file.bytes for file in mine]) if mine is not None else None,
                        records=flow.records if flow is not None else None,
                        steps=flow.elements if flow is not None and flow.rows is not None else None,
                    )
                )
        if division.policy != "OFF":
            why = (
                f"{shard.label} divides the data; a strategy that distributes this dataset would divide it once more:"
                " with auto_shard_policy OFF it does not"
            )
        return self._sharding(division, shares, whole, fails=fails, at=[shard.id], why=why, by_shard=True)

    def _names_at(self, shard: StageView) -> list[SourceFile] | None:
        """The files whose names a shard divides; None where it divides something else."""
        at: StageView | None = shard
        while at is not None and at.inputs:
            at = self._view.input_of(at)
            if at is not None and at.inputs and not _keeps_names(at):
                return None
        if at is None or not self._files.names_files(at.id) or traits(at.op).autoshard == "reader":
            return None
        return self._files.of(at.id)


def _keeps_names(stage: StageView) -> bool:
    """Whether the names of files that come out of a stage are those that go in."""
    row = traits(stage.op)
    return row.passes and row.one_to_one


def _together(stage: StageView, flows: Sequence[_Flow]) -> _Flow | None:
    """Elements of several inputs side by side, or one after the other."""
    row = traits(stage.op)
    if any(flow.rows is not None for flow in flows):
        return None
    if row.cardinality == "sum":
        return _Flow(sum(flow.elements for flow in flows))
    return _Flow(min(flow.elements for flow in flows)) if row.one_to_one else None


def _after(stage: StageView, flow: _Flow, index: int) -> _Flow | None:
    """Elements after a stage on a host; of an endless repeat, those of one epoch."""
    row, arguments = traits(stage.op), stage.arguments
    if (parts := parts_of(stage)) > 0:
        return _part(flow, parts, index)
    if row.one_to_one and not row.unbatches:
        return flow
    if row.repeats:
        times = arguments.get("count")
        again = times if isinstance(times, int) and times >= 0 else 1
        whole = flow.rows is None or flow.last == flow.rows or again == 1
        return _Flow(flow.elements * again, flow.rows, flow.last) if whole else None
    if row.stacks and row.batches is not None and flow.rows is None:
        return _batched(flow, arguments.get(row.batches), drop=arguments.get("drop_remainder") is True)
    if row.counts and row.drops and flow.rows is None:
        count = arguments.get(row.counts)
        if isinstance(count, int) and count >= 0:
            first = row.ends_early
            return _Flow(min(flow.elements, count) if first else max(0, flow.elements - count))
    return None


def _part(flow: _Flow, parts: int, index: int) -> _Flow:
    """Every so many of the elements; the last one of all belongs to one of the hosts."""
    count = flow.elements // parts + (index < flow.elements % parts)
    has_last = flow.elements > 0 and (flow.elements - 1) % parts == index
    return _Flow(count, flow.rows, flow.last if has_last else flow.rows or 0)


def _batched(flow: _Flow, size: object, *, drop: bool) -> _Flow | None:
    if not isinstance(size, int) or size < 1:
        return None
    full, rest = divmod(flow.elements, size)
    if rest and not drop:
        return _Flow(full + 1, size, rest)
    return _Flow(full, size, size if full else 0)


def _steps(flow: _Flow, hosts: int) -> int | None:
    """Batches of one host whose own batches are divided: a strategy gives it the part of one host of each."""
    if flow.rows is None or flow.rows % hosts:
        return None
    part = flow.rows // hosts
    return (flow.elements - 1) * hosts + -(-flow.last // part) if flow.elements else 0


def _part_of_batches(flow: _Flow, hosts: int, index: int) -> tuple[int, int | None]:
    """Records and steps of a host that gets its part of every batch: the first hosts get the most of a rest."""
    if flow.rows is None:
        return flow.elements // hosts + (index < flow.elements % hosts), None

    def part(rows: int) -> int:
        most = -(-rows // hosts)
        return min(most, max(0, rows - index * most))

    if not flow.elements:
        return 0, 0
    return (flow.elements - 1) * part(flow.rows) + part(flow.last), flow.elements


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _ratio(shares: Sequence[HostShare], files: int | None, size: int | None) -> float | None:
    read, whole = _sum([share.bytes for share in shares]), size
    if not read or not whole:
        read, whole = _sum([share.files for share in shares]), files
    return read / whole if shares and read and whole else None


def _too_few(division: Division, parts: Sequence[list[SourceFile] | None], hosts: int) -> str | None:
    for reader, names in zip(division.readers, parts, strict=True):
        if names is not None and len(names) < hosts:
            became = ", which AUTO becomes here," if division.policy == "AUTO" else ""
            return (
                f"FILE{became} needs a file for each of {hosts:,} hosts, and {reader.label} has"
                f" {len(names):,}: TensorFlow refuses the first element"
            )
    return None


def _refusal(division: Division) -> str | None:
    return f"FILE is not possible: {division.why}; TensorFlow refuses it" if division.refused else None
