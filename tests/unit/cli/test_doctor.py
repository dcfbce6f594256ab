"""`pipeprof doctor`: its report, its JSON and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.doctor.doctor_facts import WELL, ill, tensorflow

from pipeprof.cli.pages.doctor import Terminal, doctor_report, terminal_of
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.doctor import facts as doctor_facts
from pipeprof.profiles.doctor.facts import Cores, Devices, Facts, MemoryFacts
from pipeprof.profiles.doctor.faults import faults_of

Pipeprof = Callable[..., Any]
TERMINAL = Terminal(is_terminal=True, columns=80, encoding="utf-8", term="xterm", locale="LANG=C.UTF-8")
ILL = ill(
    tensorflow=tensorflow(("tensorflow", "2.21.0"), ("tensorflow-cpu", "2.20.0")),
    git="2.30.1",
    governors={"powersave": 8},
)
UNKNOWN = ill(
    versions={"python": None, "pipeprof": None, "numpy": None},
    tensorflow=tensorflow(),
    cores=Cores(1.0, None, None, None, None, None),
    cgroup_version=None,
    memory=MemoryFacts(None, None, None, None, None, None),
    folders=(),
    devices=Devices(),
    governors={},
)


def report(facts: Facts, width: int = 80, *, unicode: bool = True, hide: Callable[[str], str] = str) -> str:
    return paint(doctor_report(facts, TERMINAL, faults_of(facts), hide), Style(width, unicode=unicode))


@pytest.mark.parametrize("width", [40, 80])
def test_golden(width: int, golden: Callable[[str, str], None]) -> None:
    golden(f"doctor/well-{width}.txt", report(WELL, width))
    golden(f"doctor/ill-{width}.txt", report(ILL, width))


@pytest.mark.parametrize("facts", [WELL, ILL, UNKNOWN])
@pytest.mark.parametrize("width", [40, 80])
def test_fits_but_for_commands(facts: Facts, width: int) -> None:
    lines = report(facts, width).splitlines()
    assert all(len(line) <= width for line in lines if not line.startswith("   try "))
    assert report(facts, width, unicode=False).isascii()


def test_unknown_is_not_zero() -> None:
    text = report(UNKNOWN)
    assert "memory       n/a in the machine, n/a available, limit of a run n/a" in text
    assert "device       none seen" in text


def test_the_block_is_hidden_and_the_commands_are_not() -> None:
    text = report(ILL, hide=lambda text: text.replace("/home/ada", "~"))
    before, _, block = text.partition("```text")
    assert "/home/ada" in before
    assert "/home/ada" not in block
    assert block.rstrip().endswith("```")


def test_nothing_in_the_block_ends_it() -> None:
    assert report(ill(system="```\n\x1b[31mx")).count("```") == 4


def test_terminal() -> None:
    seen = terminal_of(
        {"LANG": "de_DE.UTF-8", "LC_ALL": "", "TERM": "dumb"}, is_terminal=False, columns=100, encoding=None
    )
    assert seen == Terminal(is_terminal=False, columns=100, encoding=None, term="dumb", locale="LANG=de_DE.UTF-8")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Facts], None]:
    return lambda facts: monkeypatch.setattr(doctor_facts, "gather", lambda: facts)


def test_exit_codes(pipeprof: Pipeprof, machine: Callable[[Facts], None]) -> None:
    machine(WELL)
    assert pipeprof("doctor").code == 0
    machine(ill(git=None))
    assert pipeprof("doctor").code == 0
    machine(ILL)
    result = pipeprof("doctor")
    assert (result.code, result.err) == (3, "")
    assert result.out.startswith("1 fault, 2 notes\n")


def test_json(pipeprof: Pipeprof, machine: Callable[[Facts], None]) -> None:
    machine(ILL)
    result = pipeprof("doctor", "--json")
    document = json.loads(result.out)
    assert result.code == 3
    assert [fault["level"] for fault in document["faults"]] == ["fault", "note", "note"]
    assert document["facts"]["tensorflow"]["owners"][1] == {"name": "tensorflow-cpu", "version": "2.20.0"}
    assert document["facts"]["executable"] == "/home/ada/env/bin/python"


def test_redact(pipeprof: Pipeprof, machine: Callable[[Facts], None]) -> None:
    machine(ILL)
    assert "/home/ada" not in pipeprof("doctor", "--redact").out
    assert "/home/ada" not in pipeprof("doctor", "--redact", "--json").out
    assert "/home/ada" in pipeprof("doctor", "--no-redact").out.partition("```text")[2]
    assert "/home/ada" not in pipeprof("doctor").out.partition("```text")[2]
