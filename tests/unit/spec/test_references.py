"""``${VAR}`` in values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.spec.errors.diagnostics import SpecError
from pipeprof.pipelines.spec.loader import LoadedSpec, load_spec
from pipeprof.pipelines.spec.yaml.reader import read

ENVIRONMENT = {"N": "32", "EMPTY": "", "WORD": "a b", "YES": "true", "LIST": "[1, 2]", "BAD": "a\0b", "HUGE": "1" * 400}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${N}", 32),
        ("'${N}'", "32"),
        ('"${N}"', "32"),
        ("${N}0", 320),
        ("-${N}", -32),
        ("${YES}", True),
        ("${EMPTY}", None),
        ("'${EMPTY}'", ""),
        ("${UNSET:-7}", 7),
        ("${EMPTY:-7}", 7),
        ("${N:-7}", 32),
        ("${UNSET:-}", None),
        ("${UNSET:-a:-b}", "a:-b"),
        ("x ${WORD} ${N}", "x a b 32"),
        ("$${N}", "${N}"),
        ("$N", "$N"),
        ("$$N", "$$N"),
        # What comes from outside is a value, never structure.
        ("${LIST}", "[1, 2]"),
        ("${HUGE}", "1" * 400),
        ("|\n  ${N}", "32\n"),
    ],
)
def test_what_is_filled_in(text: str, value: object) -> None:
    document = read(f"a: {text}\n", environment=ENVIRONMENT)
    assert document.problems == []
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a: ${N}}", {"a": 32}),
        ("{a: ${UNSET:-7}, b: [${N}, ${UNSET:-[x]}]}", {"a": 7, "b": [32, "[x]"]}),
        ("{a: '${N}', b: \"x${UNSET:-,}y\"}", {"a": "32", "b": "x,y"}),
        ("{a: $${N}}", {"a": "${N}"}),
        ("{a: \ue000, b: 1}", {"a": "\ue000", "b": 1}),
        ("{${N}: 1}", {"${N}": 1}),
    ],
)
def test_they_stand_in_braces_and_brackets_too(text: str, value: object) -> None:
    document = read(f"x: {text}\n", environment=ENVIRONMENT)
    assert document.problems == []
    assert document.data == {"x": value}


def test_an_error_beside_one_shows_the_text_as_it_was_written() -> None:
    [problem] = read("{a: ${N}, b: [${N}}\n", environment=ENVIRONMENT).problems
    assert problem.span is not None
    assert not any(ord(letter) > 0x7F for letter in problem.message)


def test_keys_are_left_and_aliases_are_filled() -> None:
    document = read("${N}: &a ${N}\nb: *a\nc: {d: '${N}'}\n", environment=ENVIRONMENT)
    assert document.data == {"${N}": 32, "b": 32, "c": {"d": "32"}}
    assert len(document.references.filled) == 3
    assert document.references.used == {"N": "32"}


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("${UNSET}", "unset-variable", "environment variable UNSET is not set: set it, or give a default"),
        ("${M}", "unset-variable", "${M:-default}"),
        ("'${N'", "reference", "got '${N', expected ${NAME} or ${NAME:-default} ($${ is an escaped ${)"),
        ("'${}'", "reference", "got '${}'"),
        ("'${1}'", "reference", "got '${1}'"),
        ("'${N:?no}'", "reference", "got '${N:?no}'"),
        ("'${N:-${N}}'", "reference", "got '${N:-$'"),
        ("${BAD}", "control-character", "control character in a value from the environment"),
    ],
)
def test_what_is_refused(text: str, code: str, message: str) -> None:
    document = read(f"b:\n  a: {text}\n", environment=ENVIRONMENT)
    assert document.problems[0].code == code
    assert message in document.problems[0].message
    assert document.problems[0].span is not None
    assert document.problems[0].span[:2] == (2, 6)


@given(st.text(), st.dictionaries(st.sampled_from("AB"), st.text(max_size=5)))
def test_nothing_from_outside_breaks_reading(text: str, environment: dict[str, str]) -> None:
    document = read("a: '" + text.replace("'", "''") + "${A}'\nb: ${B:-1}\n", environment=environment)
    assert document.problems or set(document.data) >= {"b"}


SPEC = """\
version: 1
name: "${N}"
description: "${N} to ${WORD}"
source: {range: {stop: ${N}}}
stages:
  - batch: {batch_size: ${SIZE:-8}, name: "x-${SIZE:-8}"}
  - take: {count: ${N}0}
"""


def load(tmp_path: Path, text: str = SPEC, **changes: Any) -> LoadedSpec:
    (tmp_path / "spec.yaml").write_text(text)
    return load_spec(tmp_path / "spec.yaml", **changes)


def test_in_quotes_it_is_text(tmp_path: Path) -> None:
    loaded = load(tmp_path, environment=ENVIRONMENT)
    assert loaded.data["name"] == "32"
    assert loaded.data["description"] == "32 to a b"
    assert loaded.data["source"] == {"range": {"stop": 32}}
    assert loaded.data["stages"] == [{"batch": {"batch_size": 8, "name": "x-8"}}, {"take": {"count": 320}}]
    assert loaded.variables == {"N": "32", "SIZE": None, "WORD": "a b"}
    assert loaded.notes == []


def test_what_fits_neither_way_is_said_as_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, environment={**ENVIRONMENT, "N": "many", "SIZE": "0"})
    codes = [(found.code, found.line) for found in caught.value.diagnostics]
    assert codes == [("number", 4), ("number", 6), ("number", 7)]


def test_without_the_flag_they_are_left_and_noted(tmp_path: Path) -> None:
    text = "version: 1\nname: ${N}\nsource: {range: {stop: 3}}\n"
    loaded = load(tmp_path, text)
    assert loaded.data["name"] == "${N}"
    assert loaded.variables is None
    assert [str(note).removeprefix(str(tmp_path)) for note in loaded.notes] == [
        "/spec.yaml:2:7: ${N} is not replaced: add --env to take it from the environment"
    ]
    assert load(tmp_path, text, sets=["name=x"]).notes == []
    with pytest.raises(SpecError, match=r"got '\$\{N\}'.*; add --env to replace \$\{N\}"):
        load(tmp_path)


def test_flags_are_filled_in_too(tmp_path: Path) -> None:
    text = "version: 1\nsource: {range: {stop: 3}}\n"
    loaded = load(tmp_path, text, sets=["source.stop=${N}", "stages+=[{take: {count: ${N}}}]"], environment=ENVIRONMENT)
    assert loaded.data["source"] == {"range": {"stop": 32}}
    assert loaded.data["stages"] == [{"take": {"count": 32}}]
    assert loaded.variables == {"N": "32"}
    with pytest.raises(SpecError, match="environment variable UNSET is not set"):
        load(tmp_path, text, sets=["source.stop=${UNSET}"], environment=ENVIRONMENT)
