"""Statements of a user's file with other calls in place of some."""

from __future__ import annotations

import textwrap

import pytest

from pipeprof.pipelines.static.edit.statement import CallPlace, NewStatement, variable_of, with_calls


def changed(
    body: str, *places: CallPlace, calls: str = ".batch(N).map(g)", source: bool = False
) -> NewStatement | None:
    """The statement in a function whose body begins in line 2."""
    code = f"def make(n):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"
    return with_calls(code, places, calls, source=source)


MAP, BATCH = (2, None, "map"), (2, None, "batch")


def test_the_calls_stand_on_what_the_user_wrote() -> None:
    found = changed("return photos('a').map(f, num_parallel_calls=4).batch(N).prefetch(1), n", MAP, BATCH)
    assert found == NewStatement("return (photos('a').batch(N).map(g).prefetch(1), n)", ((2, 2),))


def test_statements_that_only_pass_their_value_on_become_one() -> None:
    found = changed(
        "ds = read()\nds = ds.map(f)\nn = n + 1\nds = ds.batch(N)\nreturn ds", (3, None, "map"), (5, None, "batch")
    )
    assert found == NewStatement("ds = ds.batch(N).map(g)", ((3, 3), (5, 5)))


@pytest.mark.parametrize(
    "body",
    [
        "rows = read().map(f)\nshow(rows)\nreturn rows.batch(N)",
        "rows = read().map(f)\nreturn rows.batch(N), rows.take(1)",
        "rows = read(n).map(f)\nn = 4\nreturn rows.batch(N)",
        "rows = read().map(f)\nif n:\n    rows = rows.take(n)\nreturn rows.batch(N)",
        "rows = read().map(f)\nrows = rows.cache()\nreturn rows.batch(N)",
        "rows = read().map(f)\nif n:\n    rows = rows.batch(N)\nreturn rows",
    ],
    ids=["read between", "read again", "reads what changes", "changed under a condition", "another call", "condition"],
)
def test_statements_that_cannot_become_one_are_left(body: str) -> None:
    line = next(number for number, text in enumerate(body.splitlines(), 2) if "batch" in text)
    assert changed(body, MAP, (line, None, "batch")) is None


def test_a_source_is_replaced_with_all_of_its_expression() -> None:
    found = changed(
        "return Rows(PATH).map(f).batch(N)", (2, None, "Rows"), MAP, BATCH, calls="Lines(PATH).x()", source=True
    )
    assert found == NewStatement("return Lines(PATH).x()", ((2, 2),))


def test_what_stands_in_a_lambda_is_changed_there() -> None:
    found = changed("return files.interleave(lambda f: Rows(f).map(parse).batch(N), cycle_length=4)", MAP, BATCH)
    assert found is not None
    assert found.text == "return files.interleave(lambda f: Rows(f).batch(N).map(g), cycle_length=4)"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("ds = (", [(1, None, "map")]),
        ("ds = ds.map(f)\n", [(1, None, "batch")]),
        ("for row in ds.map(f):\n    print(row)\n", [(1, None, "map")]),
        ("ds = ds.map(f).map(g)\n", [(1, None, "map")]),
    ],
    ids=["no Python", "no such call", "a loop", "two of them"],
)
def test_what_a_text_does_not_show_is_none(text: str, places: list[CallPlace]) -> None:
    assert with_calls(text, places, ".x()") is None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("rows.map(f).take(4)", "rows"),
        ("data.make_rows().take(4)", None),
        ("builder.as_dataset('train').map(f).take(4)", None),
        ("tf.data.Dataset.range(9).take(4)", None),
    ],
)
def test_what_makes_a_dataset_does_not_name_it(value: str, name: str | None) -> None:
    assert variable_of(f"def make():\n    return {value}\n", (2, None, "take")) == name
    assert variable_of(f"def make():\n    ds = {value}\n    return ds\n", (2, None, "take")) == (name or "ds")
