"""Codes of warnings and errors: what `pipeprof explain` says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.cli.pages.codes import message_codes

Pipeprof = Callable[..., Any]


@pytest.mark.parametrize("name", ["not-settled", "out-of-memory", "unknown-stage", "number"])
def test_explain_takes_a_code(pipeprof: Pipeprof, name: str) -> None:
    text, document = pipeprof("explain", name), pipeprof("explain", name, "--json")
    assert (text.code, document.code) == (0, 0)
    assert text.out.startswith(f"{name}: {message_codes()[name].kind}\n")
    assert message_codes()[name].action in " ".join(text.out.split())
    assert json.loads(document.out)["meaning"] == message_codes()[name].meaning


def test_explain_suggests_a_code(pipeprof: Pipeprof) -> None:
    result = pipeprof("explain", "not-setled")
    assert result.code == 2
    assert "did you mean not-settled?" in result.err


def test_no_code_is_the_name_of_a_rule() -> None:
    from pipeprof.profiles.advise.apply import CHECKS

    assert not CHECKS.keys() & message_codes().keys()
