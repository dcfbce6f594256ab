"""`pipeprof rules` and `pipeprof explain`: all findings and ideas, and one in full."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.cli.pages.rules import describe_rule, list_rules
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.advise.apply import CHECKS
from pipeprof.profiles.advise.check import sections

Pipeprof = Callable[..., Any]


@pytest.mark.parametrize("width", [80, 120])
def test_golden(width: int, golden: Callable[[str, str], None]) -> None:
    golden(f"rules/list-{width}.txt", paint(list_rules(list(CHECKS.values())), Style(width)))
    golden(f"rules/one-{width}.txt", paint(describe_rule(CHECKS["big-array"]), Style(width)))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_fits_and_has_no_escapes(width: int) -> None:
    for check in CHECKS.values():
        text = paint(describe_rule(check), Style(width, unicode=False)) + paint(list_rules([check]), Style(width))
        # Lines to copy are never wrapped.
        lines = [line for line in text.splitlines() if not re.match(" +(- rule: |reason: |dataset =|rows =)", line)]
        assert max(map(len, lines)) <= width
        assert "\x1b" not in text


def test_all_are_listed(pipeprof: Pipeprof) -> None:
    result = pipeprof("rules")
    assert (result.code, result.err) == (0, "")
    for check in CHECKS.values():
        assert re.search(rf"^  {check.name} +{check.semantics}\b", result.out, re.MULTILINE), check.name


def test_rules_as_json(pipeprof: Pipeprof) -> None:
    document = json.loads(pipeprof("rules", "--json").out)
    assert [one["name"] for one in document["rules"]] == list(CHECKS)
    assert {one["kind"] for one in document["rules"]} == {"finding", "idea"}
    assert document == json.loads(pipeprof("rules", "--format", "json").out)


def test_explain_tells_everything(pipeprof: Pipeprof) -> None:
    for name, section in sections().items():
        result = pipeprof("explain", name)
        assert (result.code, result.err) == (0, "")
        told = " ".join(result.out.split())
        for text in (section.title, section.why, section.ignore_when):
            assert " ".join(text.split()) in told
        document = json.loads(pipeprof("explain", name, "--json").out)
        assert (document["name"], document["fix"]) == (name, section.fix)


def test_explain_what_is_none_of_them(pipeprof: Pipeprof) -> None:
    name = next(iter(CHECKS))
    result = pipeprof("explain", name.replace("-", "_") + "s")
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith(f"did you mean {name}?\n")
    result = pipeprof("explain", "quite-different")
    assert (result.code, result.out) == (2, "")
    assert result.err == "pipeprof: error: unknown name 'quite-different'; `pipeprof rules` lists them\n"


def test_a_part_of_several_names_names_them(pipeprof: Pipeprof) -> None:
    assert "did you mean parallel-calls or parallel-files?" in pipeprof("explain", "parallel").err


def test_wrong_options(pipeprof: Pipeprof) -> None:
    for arguments in (["rules", "--format", "html"], ["explain", "--json"]):
        assert pipeprof(*arguments).code == 2
