"""What `pipeprof doctor` wants mended."""

from __future__ import annotations

import pytest
from unit.doctor.doctor_facts import GIB, WELL, ill, limited_to, tensorflow

from pipeprof.profiles.doctor.facts import Facts, Folder
from pipeprof.profiles.doctor.faults import faults_of


def test_nothing() -> None:
    assert faults_of(WELL) == []


def test_two_owners_with_the_lines_that_keep_tensorflow() -> None:
    (fault,) = faults_of(ill(tensorflow=tensorflow(("tensorflow-cpu", "2.20.0"), ("tensorflow", "2.21.0"))))
    assert fault.level == "fault"
    assert fault.command == (
        "/home/ada/env/bin/python -m pip uninstall --yes tensorflow-cpu && "
        "/home/ada/env/bin/python -m pip install --force-reinstall --no-deps tensorflow==2.21.0"
    )


def test_two_owners_of_which_none_is_tensorflow() -> None:
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
def test_each(facts: Facts, level: str, part: str, command: str) -> None:
    (fault,) = faults_of(facts)
    assert fault.level == level
    assert part in fault.message
    assert fault.command == command
    assert fault.mend.endswith(".")


@pytest.mark.parametrize("changed", [{"git": "2.32"}, {"git": "3.0.0"}, {"tensorflow": tensorflow(("tf-own", None))}])
def test_no_fault(changed: dict[str, object]) -> None:
    assert faults_of(ill(**changed)) == []


def test_faults_come_first() -> None:
    levels = [fault.level for fault in faults_of(ill(git=None, tensorflow=tensorflow(importable=False)))]
    assert levels == ["fault", "note"]
