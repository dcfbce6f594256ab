"""Every command that a report, a page or a message names: the command line takes it, also for that kind of target."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from source_trees import parsed, sources

from pipeprof.cli.parser import COMMANDS, make_parser
from pipeprof.cli.report.next_step import next_command
from pipeprof.cli.report.report import build_page, build_report
from pipeprof.pipelines.changes.edits import InsertStage, SetEnvironment
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.document.findings import Unfinished
from pipeprof.profiles.document.memory import MemoryGrowth
from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.profile import Profile
from tests.unit.cli.reports import PARALLEL, Pipeprof, Recorded, codes, finding, measured, shown, verified

ROOT = Path(__file__).parents[3]
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


class ReachedError(PipeprofError):
    """A command would have begun to measure: it takes what was typed."""

    exit_code = 0


TARGETS = {"spec": "spec.yaml", "function": "train.py:make", "script": "train.py"}
SAVED = "pipeprof-out/run.json"


@pytest.fixture(params=TARGETS)
def profile(request: pytest.FixtureRequest, recorded: Recorded, tmp_path: Path) -> Profile:
    """The profile of a run of each kind of target, whose files are in the folder."""
    kind, text = request.param, TARGETS[request.param]
    (tmp_path / "spec.yaml").write_text((ROOT / "examples/jpeg_folder/spec.yaml").read_text(encoding="utf-8"))
    (tmp_path / "train.py").write_text("import tensorflow as tf\n\ndef make():\n    return tf.data.Dataset.range(9)\n")
    (tmp_path / "pipeprof-out").mkdir()
    found = recorded("script-fit" if kind == "script" else "jpeg-folder")
    found.target.kind, found.target.text, found.target.overrides = kind, text, []
    found.command = ["pipeprof", "run", text, *(["--", "fit"] if kind == "script" else [])]
    return found


def printed(profile: Profile) -> set[str]:
    """The commands that can be copied from a report, short, long and as a page; those that it names are understood."""
    blocks = [*build_report(profile, SAVED), *build_report(profile, SAVED, full=True), *build_page(profile, SAVED)]
    following = next_command(profile, SAVED)
    text = shown(blocks, width=1000)
    assert [(name, words) for name, words in commands_in(text) if refusal(name, words)] == []
    lines = {line for code in codes(blocks) for line in code.splitlines()}
    return {line for line in lines if re.match(r"(\w+=\S+ )*pipeprof ", line)} | {following.line if following else ""}


def with_findings(profile: Profile) -> Iterator[Profile]:
    """The profile with a change that a spec takes, with others, and with none, each as far as it may be known."""
    tried = verified(needs_seconds=80) if profile.target.kind != "script" else None
    for status in ("kept", "unverified", "unfinished", "ceiling"):
        left = Unfinished(pairs=2, needed=12, budget_seconds=90) if tried and status == "unfinished" else None
        for edit in (None, SetEnvironment("OMP_NUM_THREADS", "1"), InsertStage("cache", {}, "stages.1"), PARALLEL):
            in_spec = edit is PARALLEL and profile.target.kind == "spec"
            known = {"rule": "parallel-calls", "measured": measured(2.0), "unfinished": left, "in_spec": in_spec}
            profile.findings = [finding("unverified" if status == "unfinished" else status, edit, **known)]
            profile.verification = tried
            yield profile


def with_ends(profile: Profile) -> Iterator[Profile]:
    """The profile with memory that grows, and after each end."""
    profile.findings, profile.memory.soak = [], None
    profile.memory.growth = MemoryGrowth(mb_per_1000_steps=9.0, low=8.0, high=10.0, windows=9, leak=True)
    yield profile
    profile.host.memory_limit_bytes = 8 << 30
    own = "would-overwrite" if profile.target.kind == "script" else "step-raised"
    for code in ("hung", "out-of-memory", "raised", "interrupted", "max-time", own):
        profile.errors = [Problem(code=code, message="No module named 'x'", stage="stages.1", traceback="Traceback")]
        yield profile


@pytest.mark.parametrize(("changed", "some"), [(with_findings, "--change 1"), (with_ends, "--soak")])
def test_what_a_report_names_is_taken(
    changed: Any, some: str, profile: Profile, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*_given: object, **_named: object) -> None:
        raise ReachedError("it would measure now")

    for name in ("run.run_undisturbed", "fix.run_undisturbed", "compare.compared", "gate.compared"):
        monkeypatch.setattr(f"pipeprof.cli.commands.{name}", reached)
    lines = {line for one in changed(profile) for line in printed(one) if line}
    assert any(some in line for line in lines)
    Path(SAVED).write_text(profile.model_dump_json())
    for line in sorted(lines):
        words = shlex.split(line)
        done = pipeprof(*words[words.index("pipeprof") + 1 :])
        # A profile of other files is refused with 6; the command itself is right.
        assert done.code in {0, 6}, f"{line}: {done.err}"
        assert "internal error" not in done.err, line
