"""What each of several hosts reads, as `check --hosts` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.text.blocks import Block, Column, Heading, Prose, Table
from pipeprof.cli.text.names import name_rows
from pipeprof.cli.text.units import byte_scale
from pipeprof.profiles.wording import listed, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeprof.profiles.document.sharding import HostShare, Sharding
    from pipeprof.profiles.document.stages import Stage

_MOST_ROWS = 16
"""Hosts that are listed; of more, those with the most and with the least data."""


def describe_hosts(sharding: Sharding, stages: Sequence[Stage]) -> Iterator[Block]:
    """Describe how the data are divided: the rule in a sentence, then a row for each host."""
    yield Heading("Hosts", f"{sharding.hosts:,}, computed from the stages; no element was made")
    yield Prose(_rule(sharding, stages), hang=2)
    if sharding.why is not None and sharding.applied == "own":
        yield Prose(f"note: {sharding.why}", hang=2)
    if sharding.fails is not None:
        yield Prose(f"fails: {sharding.fails}", hang=2, style="bold")
    for text in sharding.unknown:
        yield Prose(f"unknown: {text}", hang=2)
    known_of = (number for one in sharding.shares for number in (one.files, one.bytes, one.records, one.steps))
    if all(number is None for number in known_of):
        return
    rows = _shown(sharding.shares)
    scale = byte_scale(share.bytes for share in rows)
    known = any(share.bytes is not None for share in rows)
    yield Table(
        [
            Column("host", [str(share.index) for share in rows]),
            Column("files", [_count(share.files) for share in rows]),
            Column(scale.unit if known else "bytes", [_text(share.bytes, scale.text) for share in rows]),
            Column("records", [_count(share.records) for share in rows]),
            Column("steps", [_count(share.steps) for share in rows]),
        ]
    )
    if len(rows) < len(sharding.shares):
        yield Prose(f"{len(sharding.shares) - len(rows):,} more hosts are between these; --json has all", style="dim")


def _rule(sharding: Sharding, stages: Sequence[Stage]) -> str:
    names = name_rows(stages)
    places = listed([names.get(stage, stage) for stage in sharding.at]) if sharding.at else "its readers"
    policy = sharding.policy
    of_all = "all of the data"
    if sharding.files is not None:
        files = f"all {sharding.files:,} files" if sharding.files != 1 else "the one file"
        of_all = f"{files} ({_bytes(sharding)})"
    if sharding.applied == "own" and not sharding.at:
        return f"the function gives each host its part{_times(sharding)}"
    if sharding.applied == "own":
        return f"each host gets its part at {places}{_times(sharding)}"
    if sharding.applied is None:
        return f"auto_shard_policy {policy}: its effect is unknown: {sharding.why}"
    became = f"AUTO becomes {sharding.applied}" if policy == "AUTO" else f"auto_shard_policy {policy}"
    because = f" ({sharding.why})" if sharding.why is not None else ""
    if sharding.applied == "FILE":
        return f"{became}: each host gets its part of {of_all} before {places}{_times(sharding)}"
    if sharding.applied == "DATA":
        return f"{became}{because}: each host reads {of_all} and gets its part of each batch{_times(sharding)}"
    hint = ", because no shard has the number SHARD_HINT" if policy == "HINT" else ""
    return f"{became}{because}: nothing is divided{hint}; each host reads {of_all}, and all hosts train on all of it"


def _times(sharding: Sharding) -> str:
    if sharding.amplification is None:
        return ""
    if sharding.amplification == 1:
        return "; together they read the data once"
    return f"; together they read the data {sharding.amplification:.3g} times"


def _bytes(sharding: Sharding) -> str:
    return size(sharding.bytes) if sharding.bytes is not None else "not made yet"


def _shown(shares: Sequence[HostShare]) -> Sequence[HostShare]:
    if len(shares) <= _MOST_ROWS:
        return shares
    ranked = sorted(shares, key=lambda share: (-(share.records or share.bytes or share.files or 0), share.index))
    half = _MOST_ROWS // 2
    return [*ranked[:half], *ranked[-half:]]


def _count(number: int | None) -> str:
    return f"{number:,}" if number is not None else "n/a"


def _text(number: int | None, write: Callable[[float | None], str]) -> str:
    return write(number) if number is not None else "n/a"
