"""Every command that a report, a page or a message names: the command line takes it, also for that kind of target."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from source_trees import parsed, sources

from pipeprof.cli.parser import COMMANDS, make_parser
from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Block, Card, Code
from pipeprof.cli.report.next_step import next_command
from pipeprof.cli.report.report import build_page, build_report
from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetEnvironment
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.document.findings import Unfinished
from pipeprof.profiles.document.memory import MemoryGrowth
from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.profile import Profile
from tests.unit.cli.reports import PARALLEL, finding, measured, verified

Recorded = Callable[[str], Profile]
Pipeprof = Callable[..., Any]

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
    ("text", "expected"),
    [
        ("`pipeprof run --soak 5m` shows what", [("run", ["--soak", "5m"])]),
        ("see pipeprof show -v", [("show", ["-v"])]),
        ("a lock; pipeprof compare OLD NEW then shows it", [("compare", ["OLD", "NEW"])]),
        ("`pipeprof init --from a.py:make` writes", [("init", ["--from", "a.py:make"])]),
        ("pipeprof run measures --all of it", [("run", [])]),
        ("pipeprof writes", []),
    ],
)
def test_a_command_in_prose_is_found(text: str, expected: list[tuple[str, list[str]]]) -> None:
    assert list(commands_in(text)) == expected


@pytest.mark.parametrize("text", ["pipeprof run spec.yaml --no-such", "`pipeprof doctor NAME`", "pipeprof show --x."])
def test_a_command_that_is_not_understood_is_noticed(text: str) -> None:
    ((name, words),) = commands_in(text)
    assert refusal(name, words) is not None


class ReachedError(PipeprofError):
    """A command would have begun to measure: it takes what was typed."""

    exit_code = 0


TARGETS = {"spec": "spec.yaml", "function": "train.py:make", "script": "train.py"}
SAVED = "pipeprof-out/run.json"
EDITS = (PARALLEL, InsertStage("cache", {}, "stages.1"), SetEnvironment("OMP_NUM_THREADS", "1"), None)
"""The first one has a place in the text of a spec."""


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


@pytest.fixture
def take(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Run a command up to where it would measure."""

    def reached(*_given: object, **_named: object) -> None:
        raise ReachedError("it would measure now")

    for name in ("run.run_undisturbed", "fix.run_undisturbed", "compare.compared", "gate.compared"):
        monkeypatch.setattr(f"pipeprof.cli.commands.{name}", reached)

    def run(line: str) -> Any:
        words = shlex.split(line)
        return pipeprof(*words[words.index("pipeprof") + 1 :])

    return run


def lines_of(blocks: Iterable[Block]) -> Iterator[str]:
    """The commands that can be copied."""
    for block in blocks:
        if isinstance(block, Card):
            yield from lines_of(block.blocks)
        elif isinstance(block, Code):
            yield from (line for line in block.text.splitlines() if re.match(r"(\w+=\S+ )*pipeprof ", line))


def printed(profile: Profile) -> set[str]:
    """The commands that can be copied from a report, short, long and as a page; those that it names are understood."""
    blocks = [*build_report(profile, SAVED), *build_report(profile, SAVED, full=True), *build_page(profile, SAVED)]
    following = next_command(profile, SAVED)
    text = paint(blocks, Style(1000))
    assert [(name, words) for name, words in commands_in(text) if refusal(name, words)] == []
    return {*lines_of(blocks), *([following.line] if following is not None else [])}


def require_taken(lines: Iterable[str], profile: Profile, take: Callable[[str], Any]) -> None:
    Path(SAVED).write_text(profile.model_dump_json())
    for line in sorted(set(lines)):
        done = take(line)
        # A profile of other files is refused with 6; the command itself is right.
        assert done.code in {0, 6}, f"{line}: {done.err}"
        assert "internal error" not in done.err, line


def found_with(profile: Profile, edit: PipelineEdit | None, status: str) -> Profile:
    """A profile with one finding, and what was tried, if anything is in such a run."""
    found = finding(
        "unverified" if status == "unfinished" else status, edit, rule="parallel-calls", measured=measured(2.0)
    )
    found.in_spec = edit is PARALLEL and profile.target.kind == "spec"
    profile.findings, profile.verification = [found], None
    if profile.target.kind != "script":
        found.unfinished = Unfinished(pairs=2, needed=12, budget_seconds=90) if status == "unfinished" else None
        profile.verification = verified(needs_seconds=80)
    return profile


def test_what_a_finding_names_is_taken(profile: Profile, take: Callable[[str], Any]) -> None:
    kinds = ("kept", "unverified", "unfinished", "ceiling")
    lines = {line for edit in EDITS for status in kinds for line in printed(found_with(profile, edit, status))}
    assert any("--change 1" in line for line in lines)
    require_taken(lines, found_with(profile, PARALLEL, "kept"), take)


def test_what_follows_an_end_or_growing_memory_is_taken(profile: Profile, take: Callable[[str], Any]) -> None:
    profile.findings, lines = [], set()
    profile.memory.soak = None
    profile.memory.growth = MemoryGrowth(mb_per_1000_steps=9.0, low=8.0, high=10.0, windows=9, leak=True)
    lines |= printed(profile)
    profile.host.memory_limit_bytes = 8 << 30
    own = "would-overwrite" if profile.target.kind == "script" else "step-raised"
    for code in ("hung", "out-of-memory", "raised", "interrupted", "max-time", own):
        profile.errors = [Problem(code=code, message="No module named 'x'", stage="stages.1", traceback="Traceback")]
        lines |= printed(profile)
    assert any("--soak" in line for line in lines)
    require_taken(lines, profile, take)
