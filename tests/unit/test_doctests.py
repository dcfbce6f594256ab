"""The examples in docstrings give what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import pipeprof


def shows_an_example(name: str) -> bool:
    found = find_spec(name)
    return found is not None and found.origin is not None and ">>>" in Path(found.origin).read_text(encoding="utf-8")


NAMES = [found.name for found in pkgutil.walk_packages(pipeprof.__path__, "pipeprof.") if shows_an_example(found.name)]


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
