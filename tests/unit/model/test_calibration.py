"""Fixed costs of a machine, kept between runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.document.subject import Host
from pipeprof.profiles.model import calibration
from pipeprof.profiles.model.calibration import FILE, MOST_HOSTS, costs_of, keep, key_of, lacks, measured_alone
from pipeprof.profiles.model.costs import DEFAULT

HOST = Host(system="Linux", machine="x86_64", cpu_model="A", cores=2.0)
BEFORE = {"row_us": 0.5, "call_us": 20.0, "hand_over_us": 3.0, "cached_us": 0.25}
MEASURED = {**BEFORE, "few_calls_us": 26.0, "many_calls_us": 7.0, "epoch_us": 900.0}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(calibration, "installed_tensorflow", lambda: "2.21.0")
    return tmp_path


def profile_on(recorded: Callable[[str], Profile], host: Host, tensorflow: str) -> Profile:
    return recorded("input-bound").model_copy(update={"host": host, "versions": {"tensorflow": tensorflow}})


def test_costs_are_measured_once_for_a_machine(folder: Path, recorded: Callable[[str], Profile]) -> None:
    profile = profile_on(recorded, HOST, "2.21.0")
    assert lacks(HOST)
    assert costs_of(profile) == DEFAULT
    keep(HOST, "2.21.0", MEASURED)
    assert not lacks(HOST)
    costs = costs_of(profile)
    assert (costs.row_us, costs.call_us, costs.op_us) == (0.5, 20.0, DEFAULT.op_us)
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_costs_of_an_older_version_are_measured_again(folder: Path, recorded: Callable[[str], Profile]) -> None:
    del folder
    keep(HOST, "2.21.0", BEFORE)
    assert lacks(HOST)
    costs = costs_of(profile_on(recorded, HOST, "2.21.0"))
    assert (costs.call_us, costs.few_calls_us) == (20.0, DEFAULT.few_calls_us)


@pytest.mark.parametrize(("others", "alone"), [(None, True), (0.1, True), (0.9, False)])
def test_costs_are_kept_where_nobody_else_used_the_cores(
    recorded: Callable[[str], Profile], others: float | None, alone: bool
) -> None:
    profile = profile_on(recorded, HOST, "2.21.0")
    profile.contention = Contention(others_cores=others)
    assert measured_alone(profile) is alone


def test_another_machine_and_another_version_have_their_own(folder: Path, recorded: Callable[[str], Profile]) -> None:
    del folder
    keep(HOST, "2.21.0", MEASURED)
    larger = HOST.model_copy(update={"cores": 8.0})
    assert lacks(larger)
    assert costs_of(profile_on(recorded, larger, "2.21.0")) == DEFAULT
    assert costs_of(profile_on(recorded, HOST, "2.22.0")) == DEFAULT
    keep(larger, "2.21.0", {**MEASURED, "call_us": 10.0})
    assert costs_of(profile_on(recorded, HOST, "2.21.0")).call_us == 20.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"A, 2 cores, TensorFlow 2.21.0": {"row_us": -1}}',
        f'{{"A, 2 cores, TensorFlow 2.21.0": {{"row_us": {10**400}}}}}',
        '{"a": {"b": 1}}',
    ],
)
def test_a_damaged_file_is_as_none(folder: Path, recorded: Callable[[str], Profile], text: str) -> None:
    (folder / FILE).write_text(text, encoding="utf-8")
    assert lacks(HOST)
    assert costs_of(profile_on(recorded, HOST, "2.21.0")) == DEFAULT
    keep(HOST, "2.21.0", MEASURED)
    assert not lacks(HOST)


def test_a_folder_of_many_machines_keeps_the_newest(folder: Path) -> None:
    hosts = [HOST.model_copy(update={"cores": float(cores)}) for cores in range(1, MOST_HOSTS + 3)]
    for host in hosts:
        keep(host, "2.21.0", MEASURED)
    assert lacks(hosts[0])
    assert not lacks(hosts[-1])
    assert key_of(hosts[-1], "2.21.0") in (folder / FILE).read_text(encoding="utf-8")


def test_nothing_is_measured_without_a_place_to_keep_it(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    del folder
    monkeypatch.setattr(calibration, "installed_tensorflow", lambda: None)
    assert not lacks(HOST)
