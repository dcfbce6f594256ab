"""`pipeprof rules`: all findings and ideas, and one of them, a warning or an error in full."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.cli.report.rules import message_codes
from pipeprof.profiles.advise.apply import CHECKS
from pipeprof.profiles.advise.check import sections

Pipeprof = Callable[..., Any]


def test_all_are_listed(pipeprof: Pipeprof) -> None:
    result, document = pipeprof("rules"), json.loads(pipeprof("rules", "--json").out)
    assert (result.code, result.err) == (0, "")
    for check in CHECKS.values():
        assert re.search(rf"^  {check.name} +{check.semantics}\b", result.out, re.MULTILINE), check.name
    assert [one["name"] for one in document["rules"]] == list(CHECKS)
    assert {one["kind"] for one in document["rules"]} == {"finding", "idea"}


def test_one_is_explained_in_full(pipeprof: Pipeprof) -> None:
    for name, section in sections().items():
        result = pipeprof("rules", name)
        assert (result.code, result.err) == (0, "")
        told = " ".join(result.out.split())
        for text in (section.title, section.why, section.ignore_when):
            assert " ".join(text.split()) in told
        document = json.loads(pipeprof("rules", name, "--json").out)
        assert (document["name"], document["fix"]) == (name, section.fix)


@pytest.mark.parametrize("name", ["not-settled", "out-of-memory", "unknown-stage", "number"])
def test_so_is_a_code(pipeprof: Pipeprof, name: str) -> None:
    text, document = pipeprof("rules", name), json.loads(pipeprof("rules", name, "--json").out)
    assert text.out.startswith(f"{name}: {message_codes()[name].kind}\n")
    assert message_codes()[name].action in " ".join(text.out.split())
    assert document["meaning"] == message_codes()[name].meaning


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cache_after_augment", "did you mean cache-after-augment?"),
        ("parallel", "did you mean parallel-calls or parallel-files?"),
        ("not-setled", "did you mean not-settled?"),
        ("quite-different", "`pipeprof rules` lists them"),
    ],
)
def test_what_is_none_of_them(name: str, meant: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("rules", name)
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith(f"{meant}\n")


def test_no_code_is_the_name_of_a_rule() -> None:
    assert not CHECKS.keys() & message_codes().keys()
