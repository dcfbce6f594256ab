"""Disturbed measurements: other processes on the worker's cores while its threads wait for one."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.profile import Host
from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.time.flow import disturbed_share, lost_cores
from pipeprof.profiles.time.words import disturbed_message


def host(cores: float = 2.0, schedulable: int | None = None) -> Host:
    return Host(system="Linux", machine="x86_64", cores=cores, schedulable_cores=schedulable)


def seen(used: float, others: float, waited: float, **more: float) -> Contention:
    return Contention(worker_cores=used, others_cores=others, runnable_wait_share=waited, **more)


@pytest.mark.parametrize(
    ("contention", "cores", "disturbed"),
    [
        pytest.param(seen(0.6, 1.4, 0.55), 2, True, id="two busy processes beside it"),
        pytest.param(seen(0.5, 1.5, 0.5), 2, True, id="one thread"),
        pytest.param(seen(40.0, 20.0, 0.2), 64, True, id="a large machine"),
        pytest.param(None, 2, False, id="not observed"),
        pytest.param(Contention(worker_cores=0.6, runnable_wait_share=0.5), 2, False, id="others unknown"),
        pytest.param(Contention(worker_cores=0.6, others_cores=1.4), 2, False, id="waiting unknown"),
        pytest.param(seen(1.0, 1.0, 0.02), 2, False, id="it had its core at any time"),
        pytest.param(seen(1.95, 0.03, 0.6), 2, False, id="too many threads of its own"),
        pytest.param(seen(0.3, 0.2, 0.5), 2, False, id="it woke up on free cores"),
        pytest.param(seen(1.16, 0.19, 0.52), 2, False, id="a third of the cores was free"),
        pytest.param(seen(0.05, 1.9, 0.5), 2, False, id="it wanted next to nothing"),
        pytest.param(seen(40.0, 20.0, 0.05), 64, False, id="a little on a large machine"),
    ],
)
def test_threads_that_wait_while_others_use_the_cores_are_disturbed(contention, cores, disturbed):
    assert (disturbed_share(contention, host(cores)) is not None) is disturbed


@pytest.mark.parametrize(
    ("contention", "cores", "who"),
    [
        pytest.param(seen(0.6, 1.4, 0.55), (2.0, None), "Other processes used 1.4 of 2 cores, ", id="others"),
        pytest.param(seen(1.0, 63.0, 0.3), (2.0, 64), "Other processes used 63.0 of 64 cores, ", id="under a quota"),
        pytest.param(
            seen(1.0, 0.1, 0.0, steal_share=0.12), (2.0, None), "The hypervisor took 12 % of the CPU time, ", id="steal"
        ),
    ],
)
def test_it_says_who_used_how_many_of_which_cores(contention, cores, who):
    waited = disturbed_share(contention, host(*cores))
    assert waited == contention.runnable_wait_share
    found = disturbed_message(contention, host(*cores), waited or 0.0)
    assert found.code == "disturbed"
    assert found.message.startswith(who)


def test_the_worker_loses_no_more_than_others_used_and_than_it_waited_for() -> None:
    assert disturbed_share(seen(1.0, 30.0, 0.3), host(2.0, 64)) is None, "others are on other cores than its quota's"
    assert lost_cores(seen(0.6, 1.4, 0.5), host()) == pytest.approx(0.6)
    assert lost_cores(seen(1.6, 0.4, 0.5), host()) == pytest.approx(0.4)
    assert lost_cores(Contention(worker_cores=1.0), host()) is None
