"""`pipeprof doctor`: its report, its JSON and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from unit.doctor.doctor_facts import WELL, ill, tensorflow

from pipeprof.cli.commands import doctor
from pipeprof.cli.report.doctor import doctor_report
from pipeprof.profiles.doctor.facts import Facts
from pipeprof.profiles.doctor.faults import faults_of
from pipeprof.profiles.document.profile import Host
from tests.unit.cli.reports import Golden, Pipeprof, shown

ILL = ill(tensorflow=tensorflow(("tensorflow", "2.21.0"), ("tensorflow-cpu", "2.20.0")), git="2.30.1")
UNKNOWN = ill(
    versions={"python": None, "pipeprof": None, "numpy": None},
    tensorflow=tensorflow(),
    host=Host(system="Linux 6.1.0", machine="x86_64", cores=1.0),
    **dict.fromkeys(("cores", "quota", "cpuset", "available_bytes", "cgroup_bytes", "cgroup_held_bytes")),
    has_cgroup=False,
    folders=(),
)


def report(facts: Facts, hide: Callable[[str], str] = str, *, unicode: bool = True) -> str:
    return shown(doctor_report(facts, faults_of(facts), hide), unicode=unicode)


def test_golden(golden: Golden) -> None:
    golden("doctor/reports.txt", "\n".join(map(report, (WELL, ILL, UNKNOWN))))


def test_the_block_is_hidden_and_nothing_in_it_ends_it(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(ill(executable="```\n\x1b[31mx")).count("```") == report(WELL).count("```")
    assert report(ILL, unicode=False).isascii()
    monkeypatch.setattr(doctor, "gather", lambda: ILL)
    # The commands outside of the block are for the user, the block for others.
    for words, before, inside in (("", True, False), ("--redact", False, False), ("--no-redact", True, True)):
        parts = pipeprof("doctor", *words.split()).out.partition("```text")
        assert ["/home/ada" in part for part in parts] == [before, False, inside]
    assert "/home/ada" not in pipeprof("doctor", "--redact", "--json").out


@pytest.mark.parametrize(("facts", "code"), [(WELL, 0), (ill(git=None), 0), (ILL, 3)])
def test_the_document_and_the_exit_code(
    facts: Facts, code: int, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "gather", lambda: facts)
    assert (pipeprof("doctor").code, pipeprof("doctor").err) == (code, "")
    found = json.loads(pipeprof("doctor", "--json").out)
    assert [fault["level"] for fault in found["faults"]] == [fault.level for fault in faults_of(facts)]
    assert found["facts"]["executable"] == "/home/ada/env/bin/python"
    assert len(found["hooks"]) > 40
