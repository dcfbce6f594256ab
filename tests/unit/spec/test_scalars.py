"""Unquoted scalars mean what users expect."""

from __future__ import annotations

import math

import pytest

from pipeprof.pipelines.spec.yaml.reader import read
from pipeprof.pipelines.spec.yaml.scalars import ScalarError, resolve_scalar

TABLE = [
    ("", None),
    ("~", None),
    ("null", None),
    ("Null", None),
    ("NULL", None),
    ("nULL", "nULL"),
    ("none", "none"),
    ("None", "None"),
    ("true", True),
    ("True", True),
    ("TRUE", True),
    ("tRUE", "tRUE"),
    ("false", False),
    ("False", False),
    ("FALSE", False),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("off", "off"),
    ("y", "y"),
    ("n", "n"),
    ("0", 0),
    ("-0", 0),
    ("12", 12),
    ("+12", 12),
    ("-12", -12),
    ("017", 17),
    ("0o17", 15),
    ("0x1F", 31),
    ("0b11", "0b11"),
    ("1_000", 1000),
    ("1_000_000", 1_000_000),
    ("1__0", "1__0"),
    ("_1", "_1"),
    ("1_", "1_"),
    ("1.10", 1.1),
    ("1.", 1.0),
    (".5", 0.5),
    ("-.5", -0.5),
    (".", "."),
    ("1_000.5", 1000.5),
    ("1e-3", 0.001),
    ("1E3", 1000.0),
    ("+1.5e+2", 150.0),
    ("1e", "1e"),
    (".inf", math.inf),
    ("-.INF", -math.inf),
    ("inf", "inf"),
    ("12:30", "12:30"),
    ("12:30:45", "12:30:45"),
    ("2024-01-31", "2024-01-31"),
    ("1.2.3", "1.2.3"),
    ("12ms", "12ms"),
    ("8GiB", "8GiB"),
    ("=", "="),
    ("-", "-"),
    ("AUTOTUNE", "AUTOTUNE"),
    ("data:photos/*/*.jpg", "data:photos/*/*.jpg"),
    ("steps.py:load", "steps.py:load"),
    ("١٢", "١٢"),
]


@pytest.mark.parametrize(("text", "value"), TABLE)
def test_table(text: str, value: object) -> None:
    got = resolve_scalar(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(("text", "value"), [row for row in TABLE if row[0] not in {"-"}])
def test_the_reader_agrees(text: str, value: object) -> None:
    document = read(f"a: {text}\n")
    assert not document.problems
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)


@pytest.mark.parametrize("text", ["12", "true", "~", "1e-3", "", "<<"])
def test_quoted_scalars_are_text(text: str) -> None:
    assert read(f"a: '{text}'\n").data == {"a": text}
    assert read(f'a: "{text}"\n').data == {"a": text}
    assert read(f"a: |\n  {text}\n").data["a"].strip() == text


def test_nan() -> None:
    assert math.isnan(resolve_scalar(".nan"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "words"), [("9" * 301, "301 digits"), ("0x" + "f" * 300, "302"), ("1e999", "1e999")])
def test_numbers_that_cannot_be_kept(text: str, words: str) -> None:
    with pytest.raises(ScalarError, match=words):
        resolve_scalar(text)
    assert [problem.code for problem in read(f"a: {text}").problems] == ["number"]
