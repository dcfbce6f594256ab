"""`pipeprof doctor`: what it wants mended, its report, its JSON and its exit code."""

import json
from collections.abc import Callable

import pytest
from unit.doctor.doctor_facts import GIB, WELL, ill, limited_to, tensorflow

from pipeprof.cli.commands import doctor
from pipeprof.cli.report.doctor import doctor_report
from pipeprof.profiles.doctor.facts import Facts, Folder
from pipeprof.profiles.doctor.faults import faults_of
from pipeprof.profiles.document.profile import Host
from tests.unit.cli.reports import shown

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


def test_golden(golden):
    golden("doctor/reports.txt", "\n".join(map(report, (WELL, ILL, UNKNOWN))))


def test_the_block_is_hidden_and_nothing_in_it_ends_it(pipeprof, monkeypatch):
    assert report(ill(executable="```\n\x1b[31mx")).count("```") == report(WELL).count("```")
    assert report(ILL, unicode=False).isascii()
    monkeypatch.setattr(doctor, "gather", lambda: ILL)
    # The commands outside of the block are for the user, the block for others.
    for words, before, inside in (("", True, False), ("--redact", False, False), ("--no-redact", True, True)):
        parts = pipeprof("doctor", *words.split()).out.partition("```text")
        assert ["/home/ada" in part for part in parts] == [before, False, inside]
    assert "/home/ada" not in pipeprof("doctor", "--redact", "--json").out


@pytest.mark.parametrize(("facts", "code"), [(WELL, 0), (ill(git=None), 0), (ILL, 3)])
def test_the_document_and_the_exit_code(facts, code, pipeprof, monkeypatch):
    monkeypatch.setattr(doctor, "gather", lambda: facts)
    assert (pipeprof("doctor").code, pipeprof("doctor").err) == (code, "")
    found = json.loads(pipeprof("doctor", "--json").out)
    assert [fault["level"] for fault in found["faults"]] == [fault.level for fault in faults_of(facts)]
    assert found["facts"]["executable"] == "/home/ada/env/bin/python"
    assert len(found["hooks"]) > 40


def test_two_owners_of_which_none_is_tensorflow():
    (fault,) = faults_of(ill(tensorflow=tensorflow(("a-tensorflow", None), ("tensorflow-cpu", "2.20.0"))))
    assert "uninstall --yes tensorflow-cpu &&" in fault.command
    assert fault.command.endswith(" a-tensorflow")


PIP = "/home/ada/env/bin/python -m pip install"
NOWHERE = Folder("current", None, None, writable=False)
FULL = Folder("temporary", "/tmp", 1 << 20, writable=True)
OLD, NEW = tensorflow(("tensorflow-cpu", "2.17.1")), tensorflow(("tensorflow", "2.99.0"))
WITHOUT_FILES = tensorflow(("tensorflow-cpu", "2.20.0"), importable=False)


@pytest.mark.parametrize(
    ("facts", "level", "part", "command"),
    [
        (ill(tensorflow=tensorflow(importable=False)), "fault", "not installed", f"{PIP} 'tensorflow>=2.18'"),
        (ill(tensorflow=tensorflow()), "note", "no installed package owns", ""),
        (ill(tensorflow=WITHOUT_FILES), "fault", "files are missing",
         f"{PIP} --force-reinstall --no-deps tensorflow-cpu"),
        (ill(tensorflow=OLD), "fault", "tensorflow-cpu 2.17.1 is too old", f"{PIP} 'tensorflow-cpu>=2.18'"),
        (ill(tensorflow=NEW), "note", "newer than the versions", ""),
        (limited_to(GIB // 4), "fault", "a run may take 256 MiB of memory at most", ""),
        (limited_to(-5), "fault", "a run may take 0 B", ""),
        (ill(folders=(NOWHERE,)), "fault", "no folder can be written", ""),
        (ill(folders=(*WELL.folders[:2], NOWHERE)), "note", "the current folder cannot be written to", ""),
        (ill(folders=(FULL, *WELL.folders[1:])), "note", "the temporary folder has 1.00 MiB free", ""),
        (ill(git=None), "note", "git is not installed", ""),
        (ill(git="2.31.9"), "note", "git 2.31.9 cannot read", ""),
    ],
)  # fmt: skip
def test_each(facts, level, part, command):
    (fault,) = faults_of(facts)
    assert fault.level == level
    assert part in fault.message
    assert fault.command == command
    assert fault.mend.endswith(".")


@pytest.mark.parametrize(
    "changed", [{}, {"git": "2.32"}, {"git": "3.0.0"}, {"tensorflow": tensorflow(("tf-own", None))}]
)
def test_no_fault(changed):
    assert faults_of(ill(**changed)) == []
