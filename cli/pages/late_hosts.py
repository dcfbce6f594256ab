"""Profiles of several hosts side by side, as `show --hosts` prints them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.text.blocks import Blank, Block, Column, Heading, KeyValue, Prose, Table
from pipeprof.cli.text.units import time_scale
from pipeprof.profiles.wording import listed, milliseconds, percent

if TYPE_CHECKING:
    from pipeprof.profiles.judge.hosts import Barrier, HostsReport, OfHost

_MOST_ROWS = 40
"""Hosts in the table; of more, the slowest."""


def describe_late_hosts(report: HostsReport) -> Iterator[Block]:
    """Describe who is late, by how much, what differs there, and what waiting for all costs."""
    yield Heading(f"{len(report.hosts):,} hosts", report.target)
    late = [host for host in report.hosts if host.late]
    if not late:
        slowest = max(report.hosts, key=lambda host: host.ratio)
        yield KeyValue("late", f"none; the slowest is {_name(slowest)}, {_by(slowest)}", indent=2)
    for host in sorted(late, key=lambda host: -host.ratio):
        yield KeyValue("late", f"{_name(host)}: {milliseconds(host.step_ms)} per step, {_by(host)}", indent=2)
        for one in host.differs:
            yield KeyValue("differs", one.text, indent=2)
        if not host.differs:
            yield KeyValue("differs", "nothing that a profile has: its network, its device or its clock", indent=2)
    if report.barrier is not None:
        yield KeyValue("barrier", _barrier(report.barrier), indent=2)
    if report.missing:
        yield KeyValue("missing", _missing(report.missing), indent=2)
    for note in report.notes:
        yield KeyValue("note", note, indent=2)
    yield Blank()
    yield _table(report)
    hidden = len(report.hosts) - _MOST_ROWS
    if hidden > 0:
        yield Prose(f"{hidden:,} faster hosts are not listed; --json has all", style="dim")


def _name(host: OfHost) -> str:
    return f"host {host.index} ({host.name})" if host.name else f"host {host.index}"


def _by(host: OfHost) -> str:
    known = host.ratio_low is not None and host.ratio_high is not None
    span = f" ({host.ratio_low:.2f} to {host.ratio_high:.2f})" if known else ""
    return f"{host.ratio:.2f}× the median of the others{span}"


def _barrier(barrier: Barrier) -> str:
    parts = [
        f"{percent(share)} {why}"
        for share, why in (
            (barrier.slowest_share, "from the slowest host"),
            (barrier.chance_share, "from long steps that fall at different times"),
        )
        if share >= 0.001
    ]
    because = f": {listed(parts)}" if parts else ""
    return (
        f"waiting for all hosts makes a step {percent(barrier.share)} longer, {milliseconds(barrier.median_ms)} → "
        f"{milliseconds(barrier.step_ms)}{because} (computed from the steps of each host, not measured)"
    )


def _missing(hosts: list[int]) -> str:
    names = listed([str(index) for index in hosts[:8]]) + (", …" if hosts[8:] else "")
    return f"host{'s' if hosts[1:] else ''} {names}: no profile, left out of these numbers"


def _table(report: HostsReport) -> Table:
    hosts = report.hosts
    if len(hosts) > _MOST_ROWS:
        hosts = sorted(hosts, key=lambda host: -host.step_ms)[:_MOST_ROWS]
    scale = time_scale(host.p95_ms for host in hosts)
    return Table(
        [
            Column("host", [str(host.index) for host in hosts]),
            Column("machine", [host.name or "" for host in hosts], right=False, keep=1, shrink_to=16),
            Column(f"step {scale.unit}", [scale.text(host.step_ms) for host in hosts]),
            Column("p95", [scale.text(host.p95_ms) for host in hosts]),
            Column("waits", [scale.text(host.wait_ms) for host in hosts], keep=2),
            Column("ratio", [f"{host.ratio:.2f}" for host in hosts]),
            Column("", ["late" if host.late else "" for host in hosts], right=False),
        ]
    )
