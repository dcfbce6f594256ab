"""Strict reading of YAML: what is refused, where things are, and that nothing takes long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.spec.yaml.nodes import MAX_DEPTH, MAX_VALUES
from pipeprof.pipelines.spec.yaml.reader import MAX_BYTES, read
from pipeprof.pipelines.spec.yaml.spans import Span, TextPlace

ALPHABET = st.text(alphabet="ab1 :-,[]{}\n#'\"&*<?|>%!.\t~é€", max_size=60)


def found(content: bytes | str) -> list[tuple[str, int | None, int | None]]:
    """Code, line and column of every problem."""
    return [(p.code, *(p.span[:2] if p.span else (None, None))) for p in read(content).problems]


def test_data_and_places() -> None:
    document = read("name: flowers\nstages:\n  - batch: {batch_size: 32}\n  - map:\n      on:\n")
    assert document.complete
    assert document.data == {"name": "flowers", "stages": [{"batch": {"batch_size": 32}}, {"map": {"on": None}}]}
    assert document.places[("name",)] == TextPlace(Span(1, 7, 7), Span(1, 1, 4))
    assert document.places[("stages", 0)] == TextPlace(Span(3, 5, 23), None)
    assert document.places[("stages", 0, "batch", "batch_size")] == TextPlace(Span(3, 25, 2), Span(3, 13, 10))
    # A value that is not there is shown at its key.
    assert document.places[("stages", 1, "map", "on")] == TextPlace(Span(5, 7, 2), Span(5, 7, 2))


def test_columns_count_characters() -> None:
    document = read("a: ['日本', '😀é', x]\r\nb: 2\r\n")
    assert document.places[("a", 2)].value == Span(1, 17, 1)
    assert document.places[("b",)].value == Span(2, 4, 1)
    assert document.lines[:2] == ["a: ['日本', '😀é', x]", "b: 2"]


def test_byte_order_mark_is_skipped() -> None:
    document = read("\ufeffa: 1\n".encode())
    assert (document.data, document.places[("a",)].key) == ({"a": 1}, Span(1, 1, 1))


def test_whole_number_keys() -> None:
    assert read("every: {1000: 400ms, 0x10: b, on: c}").data == {"every": {1000: "400ms", 16: "b", "on": "c"}}


def test_aliases_are_copies_at_the_place_of_the_alias() -> None:
    document = read("x-size: &size 8\nx-batch: &batch {batch_size: *size}\na: *batch\nb: *batch\n")
    assert document.data["a"] == document.data["b"] == {"batch_size": 8}
    assert document.data["a"] is not document.data["b"]
    assert document.places[("a",)].value == Span(3, 4, 6)
    assert document.places[("a", "batch_size")].value == Span(2, 30, 5)
    assert document.places[("x-size",)].value == Span(1, 15, 1)


def test_merges() -> None:
    document = read("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  b: 5\n  <<: [*x, *y]\nv: {<<: *x, '<<': 1}\n")
    assert document.data["z"] == {"a": 1, "b": 5, "c": 4}
    assert document.places[("z", "c")].key == Span(2, 14, 1)
    assert found("v: {<<: {a: 1}, '<<': 1}") == [("duplicate-key", 1, 17)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", [("duplicate-key", 3, 1)]),
        ("{a: 1, a: 2}", [("duplicate-key", 1, 8)]),
        ("1: a\n'1': b\n", [("duplicate-key", 2, 1)]),
        ("a: {<<: *b}\n", [("unknown-alias", 1, 9), ("merge", 1, 9)]),
        ("a: !!str b", [("tag", 1, 4)]),
        ("a: !!python/object:os.system x", [("tag", 1, 4)]),
        ("a: !mine {b: !!int '1'}", [("tag", 1, 4), ("tag", 1, 14)]),
        ("a: &b !!str c", [("tag", 1, 7)]),
        ("! a: 1", [("tag", 1, 1)]),
        ("%TAG ! tag:x,2000:\n---\na: 1", [("directive", 1, 1)]),
        ("%FOO\n---\na: 1", [("directive", 1, 1)]),
        ("a:\n\tb: 1", [("tab", 2, 1)]),
        ("a:\n  b: 1\n\tc: 2", [("tab", 3, 1)]),
        ("a: 1\n---\nb: 2", [("several-documents", 2, 1)]),
        ("a: *b", [("unknown-alias", 1, 4)]),
        ("a: &a [*a]", [("recursive-alias", 1, 8)]),
        ("a: &a {b: *a}", [("recursive-alias", 1, 11)]),
        (
            "true: 1\n~: 2\n1.5: 3\n[a]: 4\n? {a: 1}\n: 5\n",
            [("bad-key", line, 1) for line in (1, 2, 3, 4)] + [("bad-key", 5, 3)],
        ),
        ('a: "\\0"', [("control-character", 1, 4)]),
        ('a: "\\d"', [("syntax", 1, 5)]),
        ('a: "\\UFFFFFFFF"', [("syntax", 1, 5)]),
        ("a: 'b", [("syntax", 1, 4)]),
        ("a: [1,\nb: 2", [("syntax", 1, 4)]),
        ("a: {b: 1", [("syntax", 1, 4)]),
        ("a: b: c", [("syntax", 1, 5)]),
        ("a: *.jpg", [("syntax", 1, 4)]),
        ("a: @b", [("syntax", 1, 4)]),
        ("a: 'b' c", [("syntax", 1, 8)]),
        ("a: 1\nb\nc: 2", [("syntax", 2, 1)]),
        ("a:\n   b: 1\n  c: 2", [("syntax", 3, 3)]),
        ("{a: 1} b", [("syntax", 1, 8)]),
        ("", [("empty", 1, 1)]),
        ("# only this\n", [("empty", 1, 1)]),
        ("---\n...\n", [("empty", 1, 1)]),
        ("~", [("empty", 1, 1)]),
        ("a: 1\na: 2\nb: !!int c\n", [("duplicate-key", 2, 1), ("tag", 3, 4)]),
        ("a: 1\na: 2\nb: [\n", [("duplicate-key", 2, 1), ("syntax", 3, 4)]),
    ],
)
def test_refused(text: str, expected: list[tuple[str, int | None, int | None]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: \xff\n", ("encoding", 1, 4)),
        (b"a: 1\nb: caf\xe9\n", ("encoding", 2, 7)),
        ("a: 1".encode("utf-16"), ("encoding", 1, 1)),
        (b"\x89PNG\r\n\x1a\n\0\0", ("encoding", 1, 1)),
        (b"\x1f\x8b\x08\0", ("encoding", 1, 2)),
        (b"a: \0\n", ("control-character", 1, 4)),
        (b"\x7fELF\2\1\1\0", ("control-character", 1, 1)),
        (b"a: \x1b[31m\n", ("control-character", 1, 4)),
        ("a: \ufeff".encode(), ("control-character", 1, 4)),
        ("a: \ud800", ("control-character", 1, 4)),
        (b"", ("empty", 1, 1)),
        (b"#" * (MAX_BYTES + 1), ("too-large", 1, 1)),
        ("#" * (MAX_BYTES + 1), ("too-large", 1, 1)),
    ],
)
def test_refused_bytes(content: bytes | str, expected: tuple[str, int | None, int | None]) -> None:
    assert found(content) == [expected]


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    return "\n".join(lines)


def merge_bomb() -> str:
    keys = ", ".join(f"k{n}: {n}" for n in range(1000))
    return f"a: &a {{{keys}}}\nb:\n" + "  - <<: [" + ", ".join(["*a"] * 1000) + "]\n"


def deep_alias() -> str:
    nested = "[" * (MAX_DEPTH - 4) + "]" * (MAX_DEPTH - 4)
    return f"a: &a {nested}\nb: {'[' * 10}*a{']' * 10}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 3000, "too-deep"),
        ("[" * 3000 + "]" * 3000, "too-deep"),
        ("{a: " * 3000, "too-deep"),
        ("- " * 3000, "too-deep"),
        ("? " * 3000, "too-deep"),
        ("\n".join(" " * n + "a:" for n in range(1000)), "too-deep"),
        ("[" * 500_000, "too-deep"),
        (deep_alias(), "too-deep"),
        (bomb(), "alias-bomb"),
        (merge_bomb(), "alias-bomb"),
        ("- 1\n" * (MAX_VALUES + 1), "too-large"),
        ("[" + "1," * (MAX_VALUES + 1) + "]", "too-large"),
        ("a: " + "9" * 500_000, "number"),
        ("&a " * 100_000, "syntax"),
    ],
)
def test_bounded(text: str, code: str) -> None:
    document = read(text)
    assert [problem.code for problem in document.problems] == [code]
    assert len(document.places) <= MAX_VALUES


def test_deepest_allowed() -> None:
    document = read("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert not document.problems
    assert found("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) == [("too-deep", 1, MAX_DEPTH + 1)]


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), ALPHABET, st.text(max_size=80)))
def test_any_content_is_read_or_refused(content: bytes | str) -> None:
    document = read(content)
    assert document.complete or document.problems
    for problem in document.problems:
        assert not problem.message.startswith("expected ")
        # What stands behind the last line end is no line, unless it is all there is.
        behind = document.lines[-1:] == [""] and len(document.lines) > 1
        assert problem.span is None or 1 <= problem.span.line <= len(document.lines) - behind
