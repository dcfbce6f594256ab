"""`pipeprof doctor`: its report, its JSON and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.doctor.doctor_facts import WELL, ill, tensorflow

from pipeprof.cli.commands import doctor
from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.doctor import doctor_report, terminal_of
from pipeprof.profiles.doctor.facts import Cores, Devices, Facts, MemoryFacts
from pipeprof.profiles.doctor.faults import faults_of

Pipeprof = Callable[..., Any]
TERMINAL = {"is_terminal": True, "columns": 80, "encoding": "utf-8", "term": "xterm", "locale": "LANG=C.UTF-8"}
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


def report(facts: Facts, hide: Callable[[str], str] = str, *, unicode: bool = True) -> str:
    return paint(doctor_report(facts, TERMINAL, faults_of(facts), hide), Style(100, unicode=unicode))


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("doctor/reports.txt", "\n".join(map(report, (WELL, ILL, UNKNOWN))))


@pytest.mark.parametrize(("governors", "shown"), [({}, False), ({"performance": 8}, False), ({"powersave": 1}, True)])
def test_a_governor_has_a_line_where_times_vary_with_it(governors: dict[str, int], shown: bool) -> None:
    assert ("\ngovernor " in report(ill(governors=governors))) is shown


def test_the_block_is_hidden_and_the_commands_are_not() -> None:
    before, _, block = report(ILL, lambda text: text.replace("/home/ada", "~")).partition("```text")
    assert "/home/ada" in before
    assert "/home/ada" not in block
    assert block.rstrip().endswith("```")


def test_nothing_in_the_block_ends_it() -> None:
    assert report(ill(system="```\n\x1b[31mx")).count("```") == report(WELL).count("```")
    assert report(ILL, unicode=False).isascii()


def test_terminal() -> None:
    environ = {"LANG": "de_DE.UTF-8", "LC_ALL": "", "TERM": "dumb"}
    seen = terminal_of(environ, is_terminal=False, columns=100, encoding=None)
    assert list(seen.values()) == [False, 100, None, "dumb", "LANG=de_DE.UTF-8"]


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


def test_redact(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "gather", lambda: ILL)
    assert "/home/ada" not in pipeprof("doctor", "--redact").out
    assert "/home/ada" not in pipeprof("doctor", "--redact", "--json").out
    assert "/home/ada" in pipeprof("doctor", "--no-redact").out.partition("```text")[2]
    assert "/home/ada" not in pipeprof("doctor").out.partition("```text")[2]
