"""Codes of warnings and errors: every one that the program can give is explained."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from source_trees import nodes, parsed, sources

from pipeprof.cli.report.rules import message_codes
from pipeprof.profiles.harness.failure import ENDS

ROOT = Path(__file__).parents[2]
MAKERS = {
    **dict.fromkeys(("Message", "Problem", "Raised", "Warned", "warn"), 0),
    **dict.fromkeys(("error", "mismatch", "note"), 1),
    "Fault": 2,
}
"""Functions that are given a code, and where among their positional arguments."""
CODE = re.compile(r"[a-z]+([-_][a-z]+)*")


def given_codes() -> Iterator[str]:
    """The codes that stand in calls, by name or as they are, and those in the recorded texts of errors."""
    texts = [text for path, text in sources().items() if not path.startswith("api/")]
    constants = {
        target.id: node.value
        for text in texts
        for node in parsed(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for text in texts:
        for node in nodes(text):
            if isinstance(node, ast.Call):
                yield from _given(node, constants)
    for node in nodes(sources()["profiles/worker/pipeline.py"]):
        # It hands its warnings on, each a code and a text.
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and not isinstance(node.elts[1], ast.Constant):
            yield from _codes(node.elts[:1], constants)
    for path in (ROOT / "tests" / "golden").rglob("*.txt"):
        yield from re.findall(r"error\[([a-z-]+)\]", path.read_text(encoding="utf-8", errors="replace"))


def _given(call: ast.Call, constants: dict[str, ast.expr]) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in MAKERS:
        return
    place = MAKERS[name]
    values = [keyword.value for keyword in call.keywords if keyword.arg == "code"] or call.args[place : place + 1]
    yield from _codes(values, constants)


def _codes(values: list[ast.expr], constants: dict[str, ast.expr]) -> Iterator[str]:
    for value in [constants.get(one.id, one) if isinstance(one, ast.Name) else one for one in values]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and CODE.fullmatch(value.value):
            yield value.value.replace("_", "-")


def test_every_code_is_explained() -> None:
    given = {*given_codes(), *(code for code, _, _ in ENDS.values())}
    assert len(given) > 60
    assert sorted(given - message_codes().keys()) == []


def test_what_tells_what_to_do_names_documents_that_exist() -> None:
    for name in ("cli/report/codes.json", "cli/gone.json"):
        named = set(re.findall(r"\bdocs/[\w/]+\.md", (ROOT / name).read_text(encoding="utf-8")))
        assert [document for document in sorted(named) if not (ROOT / document).is_file()] == []
        assert named
