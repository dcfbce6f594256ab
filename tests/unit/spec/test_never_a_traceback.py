"""Whatever stands in a spec or a flag: a result, or errors with their places."""

import contextlib
import io
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from unit.spec.mutations import Case, beside, case, corpus

from pipeprof.cli.main import invoke

GOOD_SPECS, ALL_SPECS = corpus()
BESIDE = beside()
UNHURRIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def outcome(folder: Path, made: Case) -> tuple[int, str]:
    """The exit code of `pipeprof check`, and what it printed."""
    missing = BESIDE if not (folder / "f.py").exists() else {}
    for name, content in {**missing, **made.files}.items():
        (folder / name).write_bytes(content)
    printed, said = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        patch.chdir(folder)
        patch.setenv("PIPEPROF_DEBUG", "1")
        for name, value in made.environment.items():
            patch.setenv(name, value)
        code = invoke(["check", "--no-build", "spec.yaml", *made.arguments])
    return code, printed.getvalue() + said.getvalue()


PLACED = re.compile(r"(?:.*:[1-9]\d*:[1-9]\d*|--set .*|pipeprof): error\[")
"""What stands before an error: file, line and column, the flag, or the command."""


def check(folder: Path, made: Case) -> None:
    code, text = outcome(folder, made)
    assert code in (0, 2), text
    if "json" not in made.arguments:
        for line in re.findall(r"^[^\s|].*error\[[a-z-]+\]:.*$", text, re.MULTILINE):
            assert PLACED.match(line), line
    assert "a key`" not in text
    assert "Traceback" not in text
    assert "internal error" not in text
    assert text


@settings(max_examples=60, suppress_health_check=UNHURRIED)
@given(seed=st.integers(0, 2**32))
def test_good_specs_with_something_done_to_them(tmp_path, seed):
    check(tmp_path, case(Random(seed), GOOD_SPECS, ALL_SPECS))


@settings(max_examples=80, suppress_health_check=UNHURRIED)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
@example(content=b"")
@example(content=b"\xff\xfe\x00")
@example(content=b"null")
@example(content=b"- a\n- b")
@example(content=b"version: 1\nsource: &a {range: {stop: *a}}\nstages: [*b]")
@example(content=b"#" * (9 << 20))
@example(content=b"a: &a [x, x]\nb: &b [*a, *a]\n" * 30)
def test_any_bytes(tmp_path, content):
    check(tmp_path, Case({"spec.yaml": content}))


@settings(max_examples=40, suppress_health_check=UNHURRIED)
@given(
    flags=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40), max_size=3)
)
def test_any_flags(tmp_path, flags):
    words = [word for flag in flags for word in ("--set", flag)]
    check(tmp_path, Case({"spec.yaml": b"version: 1\nsource: {range: {stop: 3}}\n"}, words))
