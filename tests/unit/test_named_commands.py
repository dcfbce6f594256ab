"""Every command that a text of the program names, of all its rooms, is one that the command line understands."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from source_trees import parsed, sources

from pipeprof.cli.parser import COMMANDS, make_parser

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"(?<![\w./-])pipeprof ((?:[a-z]+)\b.*)")
ANY = "SOMETHING"
"""What stands in a text for what is known only when it is written."""
LIKE_AN_ARGUMENT = re.compile(r"[A-Z_]{2,}[A-Z….]*|'.*|\".*|\S*[./:=\d]\S*|-")
ENDS = ",;:)`'\"…”"


def commands_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands that a text names, in prose too, as far as they go: options with their values, and targets."""
    for found in NAMED.finditer(text):
        name, *words = found[1].replace("`", " ` ").split()
        if name.rstrip(ENDS) not in COMMANDS:
            continue
        command = make_parser(name.rstrip(ENDS))
        taken: list[str] = []
        while words and name == name.rstrip(ENDS) and (not taken or taken[-1] == taken[-1].rstrip(ENDS)):
            word = words.pop(0)
            takes_value = bool(taken) and _takes_value(command, taken[-1])
            if not (word.startswith("-") or takes_value or LIKE_AN_ARGUMENT.fullmatch(word)):
                break
            taken.append(word)
        yield name.rstrip(ENDS), [word.rstrip(ENDS).strip("'\"") for word in taken if word.rstrip(ENDS)]


def _takes_value(command: Any, word: str) -> bool:
    return any(word in one.opts and not getattr(one, "is_flag", False) for one in command.params)


def refusal(name: str, words: Sequence[str]) -> str | None:
    """What the command line's own parser has against a command; None where it is understood, or only begun."""
    try:
        with contextlib.suppress(typer.Exit):
            make_parser(name).make_context(name, list(words))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        begun = type(error).__name__ == "MissingParameter" or "requires an argument" in error.format_message()
        return None if begun else str(error.format_message())
    return None


def texts_of_sources() -> Iterator[tuple[str, str]]:
    """Every text in the sources of the program, with the file; what is put into a text is `ANY`, or the constant."""
    for path, source in sources().items():
        if "pipeprof " not in source:
            continue
        tree = parsed(source)
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield path, "".join(part.value if isinstance(part, ast.Constant) else ANY for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                yield path, node.value
    for path in (path for folder in ("cli", "profiles", "pipelines") for path in (ROOT / folder).rglob("*.json")):
        yield str(path), json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False, indent=0)


def test_commands_in_texts_of_the_sources_are_understood() -> None:
    found = {(path, name, *words) for path, text in texts_of_sources() for name, words in commands_in(text)}
    assert len(found) > 100
    wrong = [(path, name, words, said) for path, name, *words in found if (said := refusal(name, words))]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "expected", "understood"),
    [
        ("`pipeprof run --soak 5m` shows what", [("run", ["--soak", "5m"])], True),
        ("a lock; pipeprof compare OLD NEW then shows it", [("compare", ["OLD", "NEW"])], True),
        ("pipeprof run measures --all of it", [("run", [])], True),
        ("pipeprof writes", [], True),
        ("pipeprof run spec.yaml --no-such", [("run", ["spec.yaml", "--no-such"])], False),
        ("`pipeprof doctor NAME`", [("doctor", ["NAME"])], False),
    ],
)
def test_a_command_in_prose_is_found(text: str, expected: list[tuple[str, list[str]]], understood: bool) -> None:
    assert list(commands_in(text)) == expected
    assert all((refusal(*one) is None) is understood for one in expected)
