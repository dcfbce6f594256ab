"""Banned expressions: none of them occurs in a text that a user or a maintainer reads."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_trees import nodes

ROOT = Path(__file__).parents[2]

BANNED = (
    r"told",
    r"tells? of",
    r"nobody",
    r"anybody",
    r"besides?",
    r"l(ie|ies|ay|ying) ready",
    r"let(s|ting)? go",
    r"in the making",
    r"of which",
    r"(is|are) said",
    r"what else",
    r"hardly",
    r"(hold|holds|held) (it |them )?up(?! to)",
    r"ask(s|ed|ing) for",
    r"(take|takes|taken|took) off",
    r"in the same breath",
    r"counted too much",
    r"hand(s|ed|ing) on",
)
PATTERN = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)

CODE = ("api", "cli", "pipelines", "profiles")
TEXTS = (
    "README.md",
    "CHANGELOG.md",
    "RELEASE.md",
    "news/*.md",
    "docs/**/*.md",
    "docs/schema/*.json",
    "cli/pages/*.json",
    "examples/**/*.md",
    "tests/golden/**/*",
)


def banned(text: str) -> list[str]:
    """Every banned expression of a text, with what stands around it."""
    text = " ".join(text.split())
    return [text[max(0, match.start() - 40) : match.end() + 30] for match in PATTERN.finditer(text)]


@functools.cache
def files() -> tuple[str, ...]:
    """Paths of all texts and of the modules with messages, relative to the repository."""
    found = [path for pattern in TEXTS for path in ROOT.glob(pattern) if path.is_file()]
    found += [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted({path.relative_to(ROOT).as_posix() for path in found}))


def read(name: str) -> Iterator[str]:
    """The texts of a file that a user reads: all of a document, and the strings of a module without its docstrings."""
    text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
    if name.endswith(".py"):
        yield from literals(text)
    else:
        yield text


def literals(source: str) -> Iterator[str]:
    """String literals of a module that are no docstrings; an f-string is one text, its values left out."""
    parts: set[int] = set()
    for node in nodes(source):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    for node in nodes(source):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            # A single word is a name, such as that of a user account.
            yield from [node.value] if " " in node.value.strip() else []


def remarks(source: str) -> Iterator[str]:
    """Docstrings of a module, those of attributes included, and its comments."""
    for node in nodes(source):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], token.string.lstrip("#: ")
        # Consecutive lines are one text: an expression may be wrapped.
        comments = (
            [*comments[:-1], (line, f"{comments[-1][1]} {text}")]
            if follows(comments, line)
            else [*comments, (line, text)]
        )
    yield from (text for _line, text in comments)


def follows(comments: list[tuple[int, str]], line: int) -> bool:
    return bool(comments) and comments[-1][0] == line - 1


@pytest.mark.parametrize(
    "text",
    ["Nobody asked for it.", "Besides, it is told.", "2 MiB beside the rest", "the loop lets go of", "lie ready"],
)
def test_a_banned_expression_is_found(text: str) -> None:
    assert banned(text)


@pytest.mark.parametrize("text", ["inside the pipeline", "a total of 3", "held by decode", "It asks questions."])
def test_other_words_are_not(text: str) -> None:
    assert not banned(text)


def test_messages_are_read_and_docstrings_are_not() -> None:
    source = '"""nobody"""\ndef f(x):\n    """nobody"""\n    return f"{x} hardly", "is told", "nobody"\n'
    assert list(literals(source)) == ["{} hardly", "is told"]


def test_docstrings_and_comments_are_read() -> None:
    source = '"""nobody"""\nx = "hardly"  # told\n"""besides"""\n# it lets\n# go of\ny = 1\n'
    assert list(remarks(source)) == ["nobody", "besides", "told", "it lets go of"]


def banned_remarks(source: str) -> list[str]:
    """Every banned expression of the docstrings and comments of a module."""
    # Few modules have one anywhere, in a name of a variable say; only those are taken apart, which takes longer.
    if not banned(re.sub(r"\n\s*#:?", " ", source)):
        return []
    return [hit for text in remarks(source) for hit in banned(text)]


def test_a_banned_expression_that_is_wrapped_is_found() -> None:
    assert len(banned_remarks('"""It is\ntold."""\n\n    # it lets\n    # go of\ntold = 1\n')) == 2


def test_docstrings_and_comments_have_no_banned_expressions() -> None:
    modules = [name for name in files() if name.endswith(".py") and name.startswith(CODE)]
    found = {name: hits for name in modules if (hits := banned_remarks((ROOT / name).read_text(encoding="utf-8")))}
    assert len(modules) > 300
    assert found == {}


def test_texts_and_messages_have_no_banned_expressions() -> None:
    found = {name: hits for name in files() if (hits := [hit for text in read(name) for hit in banned(text)])}
    assert found == {}


def test_rules_have_no_banned_expressions() -> None:
    from pipeprof.cli.commands.rules import as_dict
    from pipeprof.profiles.advise.rule import rules

    found = {name: banned(str(as_dict(rule))) for name, rule in rules().items()}
    assert not any(found.values()), found


def test_help_has_no_banned_expressions(capsys: pytest.CaptureFixture[str]) -> None:
    from pipeprof.cli.main import invoke, make_app

    commands = [[], *([str(command.name)] for command in make_app().registered_commands)]
    for group in make_app().registered_groups:
        assert group.typer_instance is not None
        commands += [[str(group.name), str(command.name)] for command in group.typer_instance.registered_commands]
    assert len(commands) >= 10
    for command in commands:
        assert invoke([*command, "--help"]) == 0
        assert banned(capsys.readouterr().out) == [], command
