"""Profiles of several hosts side by side: who is late, what differs there, what waiting for all costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.document.measured import Device, Disk, Series, Throughput
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.sharding import HostPart
from pipeprof.profiles.document.shared import Contention, Quantiles, StepCourse, Steps
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.judge.hosts import HostsReport, expected_longest, report_of

TOOL = Tool(version="0")


def host(index: int | None, ms: float = 20.0, *, of: int = 4, noise: float = 0.02, **facts: Any) -> Profile:
    """A profile of one host, whose steps take so long on average."""
    chance = Random(index or 0)
    course = [ms * chance.gauss(1.0, noise) for _ in range(60)]
    spread = Quantiles(mean=ms, p50=ms, p95=1.2 * ms, p99=1.3 * ms)
    given: dict[str, Any] = {
        "tool": TOOL,
        "complete": True,
        "target": Target(
            kind="spec",
            text="spec.yaml",
            resolved_sha256="a",
            host=HostPart(index=index, of=of) if index is not None else None,
        ),
        "host": Host(system="Linux", machine="x86_64", cores=4.0, name=f"node-{index}"),
        "steps": Steps(
            count=100, dispatch="sync", seconds=2.0, interval_ms=spread, wait_ms=spread, fetch_ms=spread, wait_share=0.1
        ),
        "device": Device(kind="simulate", text="simulate: 12ms"),
        "series": Series(
            steps=StepCourse(seconds=[0.1 * n for n in range(60)], interval_ms=course),
            interval_histogram_ms=[(0.8 * ms, 50), (1.2 * ms, 50)],
        ),
        "stages": [Stage(id="stages.0", origin="written", op="map", time_ms_per_batch=0.4 * ms)],
        "contention": Contention(runnable_wait_share=0.02, others_cores=0.1, stalled_by_files_share=0.0),
    }
    return Profile(**(given | facts))


def report(*profiles: Profile) -> HostsReport:
    return report_of([(Path(f"p{place}.json"), one) for place, one in enumerate(profiles)], TOOL)


def late(found: HostsReport) -> list[int]:
    return [one.index for one in found.hosts if one.late]


def what(found: HostsReport) -> list[str]:
    return [one.what for host in found.hosts for one in host.differs]


def test_hosts_that_are_alike_are_not_late() -> None:
    found = report(*(host(index, 20.0 + 0.2 * index) for index in range(4)))
    assert late(found) == []
    assert found.missing == []


def test_the_late_one_of_few_is_named_with_its_stage() -> None:
    found = report(host(3, 26.0), host(0), host(2), host(1))
    assert [one.index for one in found.hosts] == [0, 1, 2, 3]
    assert late(found) == [3]
    last = found.hosts[-1]
    assert last.ratio == pytest.approx(1.3)
    assert last.ratio_low is not None
    assert last.ratio_high is not None
    assert last.ratio_low < 1.3 < last.ratio_high
    assert what(found) == ["stage"]
    assert last.differs[0].stage == "stages.0"
    assert "2.40 ms more per batch" in last.differs[0].text


@pytest.mark.parametrize(("ms", "noise", "is_late"), [(21.5, 0.02, False), (23.0, 0.5, False), (22.5, 0.02, True)])
def test_few_hosts_are_judged_by_their_ratio_and_its_interval(ms: float, noise: float, is_late: bool) -> None:
    assert bool(late(report(host(0), host(1), host(2), host(3, ms, noise=noise)))) is is_late


def test_many_hosts_are_judged_by_their_spread() -> None:
    usual = [host(index, 20.0 + 0.1 * index, of=8) for index in range(7)]
    assert late(report(*usual, host(7, 21.8, of=8))) == [7]
    wide = [host(index, 20.0 + 1.0 * index, of=8) for index in range(7)]
    assert late(report(*wide, host(7, 27.0, of=8))) == []


@pytest.mark.parametrize(
    ("facts", "kinds"),
    [
        ({"contention": Contention(runnable_wait_share=0.4, others_cores=1.9)}, ["neighbours"]),
        ({"contention": Contention(runnable_wait_share=0.02, stalled_by_files_share=0.5)}, ["disk"]),
        ({"host": Host(system="Linux", machine="x86_64", cores=2.0)}, ["cores"]),
        ({"throughput": Throughput(bytes_per_batch=3e6)}, ["data"]),
        ({"device": Device(kind="simulate", text="simulate: 12ms")}, []),
    ],
)
def test_what_differs_on_the_late_host_is_named(facts: dict[str, Any], kinds: Sequence[str]) -> None:
    plain = {"stages": [], "throughput": Throughput(bytes_per_batch=2e6)}
    found = report(*(host(index, **plain) for index in range(3)), host(3, 26.0, **(plain | facts)))
    assert what(found) == list(kinds)


def test_files_that_only_one_host_reads_from_its_disk() -> None:
    plain = {"stages": [], "throughput": Throughput(bytes_per_batch=2e6)}
    usual = [host(index, disk=Disk(bytes=0), **plain) for index in range(3)]
    assert what(report(*usual, host(3, 26.0, disk=Disk(bytes=100_000_000), **plain))) == ["disk"]
    assert what(report(*usual, host(3, 26.0, disk=Disk(bytes=1_000_000), **plain))) == []


def test_a_barrier_costs_what_the_slowest_and_chance_take() -> None:
    assert expected_longest([[(10.0, 1.0)], [(30.0, 1.0)]]) == 30.0
    found = report(*(host(index) for index in range(4)))
    assert found.barrier is not None
    assert found.barrier.slowest_share == 0
    # Of four hosts whose steps take 16 or 24 ms, all are quick in one of 16.
    assert found.barrier.step_ms == pytest.approx(16 / 16 + 24 * 15 / 16)
    assert found.barrier.share == pytest.approx(found.barrier.chance_share)
    slow = report(host(0), host(1), host(2), host(3, 40.0)).barrier
    assert slow is not None
    assert slow.slowest_share == pytest.approx(1.0)
    assert report(host(0), host(1, series=Series())).barrier is None


def test_a_host_without_a_profile_is_named() -> None:
    assert report(host(0, of=6), host(2, of=6), host(5, of=6)).missing == [1, 3, 4]


def test_other_versions_and_partial_profiles_are_named() -> None:
    found = report(
        host(0, versions={"tensorflow": "2.20.0"}), host(1, versions={"tensorflow": "2.21.0"}, complete=False)
    )
    assert found.notes == ["the hosts have TensorFlow 2.20.0 and 2.21.0", "measured in part only: p1.json"]
    assert report(host(0), host(1)).notes == []


def test_profiles_that_tell_no_host_are_numbered() -> None:
    found = report(host(None), host(None, 30.0))
    assert [one.index for one in found.hosts] == [0, 1]
    assert found.notes


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (host(0), "p0.json and p1.json are both of host 0"),
        (host(1, of=8), "4 and 8 hosts"),
        (host(None), "p1.json is of all of the data"),
        (host(1, target=Target(kind="spec", text="other.yaml", resolved_sha256="b")), "whose text differs"),
        (host(1, target=Target(kind="function", text="a.py:f", arguments={})), "other arguments or kinds"),
        (host(1, device=Device(kind="none")), "measure all hosts with one --step"),
        (host(1, steps=None), "p1.json has no measured steps"),
    ],
)
def test_profiles_that_cannot_be_compared_are_refused(other: Profile, words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        report(host(0), other)
