"""How a mistake is shown."""

import pytest

from pipeprof.pipelines.errors import escape
from pipeprof.pipelines.spec.diagnostics import MAX_DIAGNOSTICS, SNIPPET_WIDTH, Diagnostic, SpecError


def diagnostic(line: int = 1, column: int = 1, length: int = 1, **more: object) -> Diagnostic:
    return Diagnostic("spec.yaml", line, column, length, code="wrong-type", message="got x, expected y", **more)  # type: ignore[arg-type]


def test_a_flag_is_shown_instead_of_a_line():
    flag = Diagnostic("spec.yaml", None, 14, 3, "--set stages.abc=2", code="unknown-key", message="got x")
    assert flag.render(["a: 1"]).split("\n")[1:] == ["    --set stages.abc=2", " " * 17 + "^^^"]


@pytest.mark.parametrize("column", [1, 50, 99, 101, 500, 1000])
def test_long_lines_are_clipped_around_the_column(column):
    line = "a" * (column - 1) + "X" + "b" * (1000 - column)
    _, shown, carets = diagnostic(1, column).render([line]).split("\n")
    assert shown[carets.index("^")] == "X"
    assert carets.count("^") == 1
    assert len(shown) <= SNIPPET_WIDTH + len("    1 | ") + 2
    _, shown, carets = diagnostic(1, column, 900).render([line + "x" * 900]).split("\n")
    assert len(carets) <= len(shown) <= SNIPPET_WIDTH + 10


def test_wide_and_combining_characters_keep_the_caret_in_place():
    _, shown, carets = diagnostic(1, 6, 2).render(["日本e\u0301:xy"]).split("\n")
    assert shown == "    1 | 日本e\u0301:xy"
    # Two wide characters take four columns, e with its accent and the colon one each.
    assert carets == "      | " + " " * 6 + "^^"


def test_control_characters_are_escaped():
    odd = Diagnostic("a\x1b.yaml", 1, 4, 1, code="tag", message="got \x07\u202e, expected y\n")
    assert odd.render(["a: \x1b[31m\t"]).split("\n") == [
        "a\\x1b.yaml:1:4: error[tag]: got \\x07\\u202e, expected y\\n", "    1 | a: \\x1b[31m\\t", "      |    ^^^^",
    ]  # fmt: skip
    assert escape("日本 e\u0301\u00a0\U000e0001\udc80") == "日本 e\u0301 \\U000e0001\\udc80"


def test_error_is_sorted_by_place_with_flags_last():
    flags = [diagnostic(flag=f"--set a={n}", order=n) for n in (1, 0)]
    error = SpecError([*flags, diagnostic(3, 1), diagnostic(1, 9), diagnostic(1, 2)], [])
    places = [str(d) for d in error.diagnostics]
    assert places == ["spec.yaml:1:2", "spec.yaml:1:9", "spec.yaml:3:1", "--set a=0", "--set a=1"]
    assert error.exit_code == 2


@pytest.mark.parametrize("extra", [0, 7])
def test_only_the_first_are_shown(extra):
    error = SpecError([diagnostic(n) for n in range(1, MAX_DIAGNOSTICS + extra + 1)])
    assert (len(error.diagnostics), error.hidden) == (MAX_DIAGNOSTICS, extra)
    assert str(error).count("error[") == MAX_DIAGNOSTICS
    assert error.to_dict()["hidden"] == extra
