"""Strict reading of YAML: what is refused, where things are, and that nothing takes long."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.spec.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Span, TextPlace, read

ENVIRONMENT = {"N": "32", "EMPTY": "", "WORD": "a b", "LIST": "[1, 2]", "BAD": "a\0b", "HUGE": "1" * 400}


def found(content: bytes | str) -> list[tuple[str, int, int]]:
    """Code, line and column of every problem."""
    return [(problem.code, *problem.span[:2]) for problem in read(content).problems]


def test_data_and_places():
    text = read("name: flowers\nstages:\n  - batch: {batch_size: 32}\n  - map:\n      on:\n")
    assert text.data == {"name": "flowers", "stages": [{"batch": {"batch_size": 32}}, {"map": {"on": None}}]}
    places = text.places
    assert places[("name",)] == TextPlace(Span(1, 7, 7), Span(1, 1, 4))
    assert places[("stages", 0)] == TextPlace(Span(3, 5, 23), None)
    assert places[("stages", 0, "batch", "batch_size")] == TextPlace(Span(3, 25, 2), Span(3, 13, 10))
    # A value that is not there is shown at its key.
    assert places[("stages", 1, "map", "on")] == TextPlace(Span(5, 7, 2), Span(5, 7, 2))


def test_columns_count_characters():
    text = read("\ufeffa: ['日本', '😀é', x]\r\nb: 2\r\n".encode())
    assert text.places[("a", 2)].value == Span(1, 17, 1)
    assert text.places[("b",)].value == Span(2, 4, 1)
    assert text.lines[:2] == ["a: ['日本', '😀é', x]", "b: 2"]


def test_aliases_are_copies_at_the_place_of_the_alias():
    text = read("x-size: &size 8\nx-batch: &batch {batch_size: *size}\na: *batch\nb: *batch\n")
    data, places = text.data, text.places
    assert data["a"] == data["b"] == {"batch_size": 8}
    assert data["a"] is not data["b"]
    assert places[("a",)].value == Span(3, 4, 6)
    assert places[("a", "batch_size")].value == Span(2, 30, 5)
    assert places[("x-size",)].value == Span(1, 15, 1)


def test_merges():
    text = read("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  b: 5\n  <<: [*x, *y]\nv: {<<: *x, '<<': 1}\n")
    assert text.data["z"] == {"a": 1, "b": 5, "c": 4}
    assert text.places[("z", "c")].key == Span(2, 14, 1)
    assert found("v: {<<: {a: 1}, '<<': 1}") == [("duplicate-key", 1, 17)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1: a\n'1': b\n", [("duplicate-key", 2, 1)]),
        ("a: {<<: *b}\n", [("unknown-alias", 1, 9), ("merge", 1, 9)]),
        ("a: !!python/object:os.system x", [("tag", 1, 4)]),
        ("a: 1\n---\nb: 2", [("several-documents", 2, 1)]),
        ("true: 1\n~: 2\n1.5: 3\n[a]: 4\n", [("bad-key", line, 1) for line in (1, 2, 3, 4)]),
        ("a: *.jpg", [("syntax", 1, 5)]),
        (b"a: 1\nb: caf\xe9\n", [("encoding", 2, 7)]),
        (b"a: \x1b[31m\n", [("control-character", 1, 4)]),
        ("a: \ud800", [("control-character", 1, 4)]),
        (b"#" * (MAX_BYTES + 1), [("too-large", 1, 1)]),
    ],
)
def test_refused(text, expected):
    assert found(text) == expected


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    return "\n".join(lines)


def merge_bomb() -> str:
    keys = ", ".join(f"k{n}: {n}" for n in range(1000))
    return f"a: &a {{{keys}}}\nb:\n" + "  - <<: [" + ", ".join(["*a"] * 1000) + "]\n"


DEEP_ALIAS = f"a: &a {'[' * (MAX_DEPTH - 4)}{']' * (MAX_DEPTH - 4)}\nb: {'[' * 10}*a{']' * 10}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("? " * 3000, "too-deep"),
        ("\n".join(" " * n + "a:" for n in range(1000)), "too-deep"),
        ("[" * 500_000, "too-deep"),
        (DEEP_ALIAS, "too-deep"),
        (bomb(), "too-large"),
        (merge_bomb(), "too-large"),
        ("- 1\n" * (MAX_VALUES + 1), "too-large"),
        ("a: " + "9" * 301, "number"),
        ("a: 0x" + "f" * 300, "number"),
        ("a: 1e999", "number"),
        ("&a " * 100_000, "syntax"),
    ],
)
def test_bounded(text, code):
    assert [problem.code for problem in read(text).problems] == [code]
    assert found("[" * MAX_DEPTH + "]" * MAX_DEPTH) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("NULL", None), ("nULL", "nULL"), ("none", "none"), ("FALSE", False), ("yes", "yes"),
        ("off", "off"), ("-0", 0), ("017", 17), ("0o17", 15), ("0x1F", 31), ("0b11", "0b11"), ("1_000", 1000),
        ("1__0", "1__0"), ("_1", "_1"), ("1_", "1_"), ("1.", 1.0), ("-.5", -0.5), (".", "."), ("1_000.5", 1000.5),
        ("1E3", 1000.0), ("1e", "1e"), ("-.INF", -math.inf), ("inf", "inf"), ("12:30", "12:30"), ("=", "="),
        ("2024-01-31", "2024-01-31"), ("12ms", "12ms"), ("data:photos/*/*.jpg", "data:photos/*/*.jpg"),
    ],
)  # fmt: skip
def test_scalars(text, value):
    data = read(f"a: {text}\n").data
    assert data == {"a": value}
    assert type(data["a"]) is type(value)
    assert read(f"a: '{text}'\n").data == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${N}", 32),
        ("${EMPTY}", None),
        ("${UNSET:-7}", 7),
        ("${EMPTY:-7}", 7),
        ("x ${WORD} ${N}", "x a b 32"),
        ("$${N}", "${N}"),
        # What comes from outside is a value, never structure.
        ("${LIST}", "[1, 2]"),
        ("${HUGE}", "1" * 400),
        ("{a: ${UNSET:-7}, b: [${N}, ${UNSET:-[x]}]}", {"a": 7, "b": [32, "[x]"]}),
        ("{a: \ue000, b: 1}", {"a": "\ue000", "b": 1}),
        ("{${N}: 1, 0x10: 2}", {"${N}": 1, 16: 2}),
    ],
)
def test_variables_filled_in(text, value):
    result = read(f"a: {text}\n", ENVIRONMENT)
    assert result.problems == []
    assert result.data == {"a": value}
    assert type(result.data["a"]) is type(value)


def test_variables_that_were_used():
    result = read("${N}: &a ${N}\nb: *a\nc: {d: '${SIZE:-8}'}\n", ENVIRONMENT)
    assert result.data == {"${N}": 32, "b": 32, "c": {"d": "8"}}
    assert result.used == {"N": "32", "SIZE": None}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("${UNSET}", "unset-variable"),
        ("'${N'", "reference"),
        ("'${N:?no}'", "reference"),
        ("${BAD}", "control-character"),
        ("'" + "${HUGE}" * 200 + "'", "too-large"),
    ],
)
def test_variables_refused(text, code):
    problem = read(f"b:\n  a: {text}\n", ENVIRONMENT).problems[0]
    assert (problem.code, *problem.span[:2]) == (code, 2, 6)


@given(st.text(), st.dictionaries(st.sampled_from("AB"), st.text(max_size=5)))
def test_nothing_from_outside_breaks_reading(text, environment):
    result = read("a: '" + text.replace("'", "''") + "${A}'\nb: ${B:-1}\n", environment)
    assert result.problems or set(result.data) >= {"b"}
