"""How a mistake is shown."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.errors import UsageError, escape
from pipeprof.pipelines.spec.diagnostics import MAX_DIAGNOSTICS, SNIPPET_WIDTH, Diagnostic, SpecError


def diagnostic(line: int = 1, column: int = 1, length: int = 1, **more: object) -> Diagnostic:
    return Diagnostic("spec.yaml", line, column, length, "wrong-type", "got x, expected y", **more)  # type: ignore[arg-type]


def test_line_and_caret() -> None:
    lines = [""] * 11 + ["  bach: 3"]
    assert diagnostic(12, 3, 4, suggestion="batch").render(lines) == (
        "spec.yaml:12:3: error[wrong-type]: got x, expected y — did you mean batch?\n"
        "    12 |   bach: 3\n"
        "       |   ^^^^"
    )


def test_flag_instead_of_line() -> None:
    shown = Diagnostic("spec.yaml", None, 14, 3, "unknown-key", "got x, expected y", "--set stages.abc=2")
    assert shown.render([]) == (
        "--set stages.abc=2: error[unknown-key]: got x, expected y\n    --set stages.abc=2\n                 ^^^"
    )


def test_file_as_a_whole() -> None:
    assert Diagnostic("a.yaml", None, None, 1, "empty", "got nothing, expected a spec").render(["x"]) == (
        "a.yaml: error[empty]: got nothing, expected a spec"
    )


def test_line_beyond_the_file_has_no_snippet() -> None:
    assert "\n" not in diagnostic(9).render(["one line"])


@pytest.mark.parametrize("column", [1, 2, 50, 99, 100, 101, 500, 990, 1000])
def test_long_lines_are_clipped_around_the_column(column: int) -> None:
    line = "a" * (column - 1) + "X" + "b" * (1000 - column)
    _, shown, carets = diagnostic(1, column).render([line]).split("\n")
    assert shown[carets.index("^")] == "X"
    assert carets.count("^") == 1
    assert len(shown) <= SNIPPET_WIDTH + len("    1 | ") + 2


def test_long_token_is_clipped() -> None:
    _, shown, carets = diagnostic(1, 4, 900).render(["a: " + "x" * 900]).split("\n")
    assert len(carets) < len(shown) <= SNIPPET_WIDTH + 10


def test_wide_and_combining_characters_keep_the_caret_in_place() -> None:
    _, shown, carets = diagnostic(1, 6, 2).render(["日本e\u0301:xy"]).split("\n")
    assert shown == "    1 | 日本e\u0301:xy"
    # Two wide characters take four columns, e with its accent and the colon one each.
    assert carets == "      | " + " " * 6 + "^^"


def test_control_characters_are_escaped() -> None:
    shown = Diagnostic("a\x1b.yaml", 1, 4, 1, "tag", "got \x07\u202e, expected y\n").render(["a: \x1b[31m\t"])
    assert (
        shown
        == "a\\x1b.yaml:1:4: error[tag]: got \\x07\\u202e, expected y\\n\n    1 | a: \\x1b[31m\\t\n      |    ^^^^"
    )
    assert escape("日本 e\u0301\u00a0\U000e0001\udc80") == "日本 e\u0301 \\U000e0001\\udc80"


def test_error_is_sorted_by_place_with_flags_last() -> None:
    flags = [diagnostic(flag=f"--set a={n}", order=n) for n in (1, 0)]
    error = SpecError([*flags, diagnostic(3, 1), diagnostic(1, 9), diagnostic(1, 2)], [])
    places = [d.place for d in error.diagnostics]
    assert places == ["spec.yaml:1:2", "spec.yaml:1:9", "spec.yaml:3:1", "--set a=0", "--set a=1"]
    assert isinstance(error, UsageError)
    assert error.exit_code == 2


@pytest.mark.parametrize(("extra", "words"), [(0, None), (1, "and 1 more error"), (7, "and 7 more errors")])
def test_only_the_first_are_shown(extra: int, words: str | None) -> None:
    error = SpecError([diagnostic(n) for n in range(1, MAX_DIAGNOSTICS + extra + 1)])
    assert (len(error.diagnostics), error.hidden) == (MAX_DIAGNOSTICS, extra)
    assert str(error).split("\n")[-1] == (words or diagnostic(MAX_DIAGNOSTICS).render())
    assert error.to_dict()["hidden"] == extra


def test_as_json() -> None:
    assert diagnostic(3, 4, 5, suggestion="z").to_dict() == {
        "file": "spec.yaml",
        "line": 3,
        "column": 4,
        "length": 5,
        "code": "wrong-type",
        "message": "got x, expected y",
        "flag": None,
        "suggestion": "z",
    }
