"""`pipeprof rules`: all findings and ideas, and one of them, or a code, in full."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.rules import describe_code, describe_rule, list_rules, message_codes
from pipeprof.profiles.advise.apply import CHECKS
from pipeprof.profiles.advise.check import sections

Pipeprof = Callable[..., Any]


def test_golden(golden: Callable[[str, str], None]) -> None:
    blocks = (list_rules(list(CHECKS.values())), describe_rule(CHECKS["big-array"]), describe_code("not-settled"))
    golden("rules/rules.txt", "\n".join(paint(one, Style(100)) for one in blocks))


def test_all_are_listed(pipeprof: Pipeprof) -> None:
    result = pipeprof("rules")
    assert (result.code, result.err) == (0, "")
    assert [line.split()[0] for line in result.out.splitlines() if line[:2] == "  " and line.split()[0] in CHECKS] == [
        name for kind in ("finding", "idea") for name, check in CHECKS.items() if check.kind == kind
    ]
    document = json.loads(pipeprof("rules", "--json").out)
    assert [one["name"] for one in document["rules"]] == list(CHECKS)


def test_one_is_described_in_full(pipeprof: Pipeprof) -> None:
    for name, section in sections().items():
        told = " ".join(paint(describe_rule(CHECKS[name]), Style(100)).split())
        for text in (section.title, section.why, section.ignore_when):
            assert " ".join(text.split()) in told
    assert pipeprof("rules", "big-array").out == paint(describe_rule(CHECKS["big-array"]), Style(80))
    assert json.loads(pipeprof("rules", "big-array", "--json").out)["fix"] == sections()["big-array"].fix


@pytest.mark.parametrize("name", ["not-settled", "out-of-memory", "unknown-stage", "number"])
def test_so_is_a_code(pipeprof: Pipeprof, name: str) -> None:
    assert pipeprof("rules", name).out == paint(describe_code(name), Style(80))
    assert json.loads(pipeprof("rules", name, "--json").out)["meaning"] == message_codes()[name].meaning


@pytest.mark.parametrize(
    ("name", "meant"),
    [("big_arrays", "big-array"), ("parallel", "parallel-calls or parallel-files"), ("not-setled", "not-settled")],
)
def test_what_is_none_of_them_is_an_error(name: str, meant: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("rules", name)
    assert (result.code, result.out) == (2, "")
    assert f"did you mean {meant}?" in result.err
    assert pipeprof("rules", "quite-different").code == 2


def test_no_code_is_the_name_of_a_rule() -> None:
    assert not CHECKS.keys() & message_codes().keys()
