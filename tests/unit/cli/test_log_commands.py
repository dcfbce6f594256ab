"""No line of an output is a command for the CI system that logs it, except in the format that consists of commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.cli.test_formats import hostile_profile

from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Card, Code, Column, Heading, Pairs, Table, Text
from pipeprof.cli.streams import without_commands
from pipeprof.pipelines.log_commands import has_command, spell_commands, spell_in_json
from pipeprof.pipelines.spec.yaml.writer import BlockWriter
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import encode

Pipeprof = Callable[..., Any]

COMMANDS = ("::error::x", "::set-output name=a::b", "  ::stop-commands::t", "a ##[error]x", "##vso[task.x]y")
LIKE_A_COMMAND = re.compile(r"^(\s|\x1b\[[0-9;]*m)*::|##[A-Za-z]*\[", re.MULTILINE)


@pytest.mark.parametrize("text", [*COMMANDS, "a\n::error::b", "a\r::error::b", "\u00a0::x::", "\x1b[1m::error::x"])
def test_a_command_is_spelled_out(text: str) -> None:
    assert has_command(text)
    assert not has_command(spell_commands(text))
    assert spell_commands(spell_commands(text)) == spell_commands(text)


@pytest.mark.parametrize("text", ["a::b", "x[::2]", "# comment", "## [a]", "#[a]", "1 : : 2"])
def test_other_text_stays(text: str) -> None:
    assert not has_command(text)
    assert without_commands(text) == text


def test_json_and_yaml_stay_the_same_documents() -> None:
    document = {"##[error]": "::error::##vso[a]", "b": ["#", "##["]}
    text = json.dumps(document, indent=1)
    assert not has_command(spell_in_json(text))
    assert json.loads(spell_in_json(text)) == document
    long = "word " * 20 + "::error::here is more " + "word " * 15 + "end"
    for text in (long, "##[error]" + " word" * 40, "::error::x"):
        lines = BlockWriter(lambda *_: False).entries({"description": text}, (), 0)
        written = without_commands("\n".join(line.text for line in lines))
        assert not LIKE_A_COMMAND.search(written)
        assert yaml.safe_load(written) == {"description": text}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_of_a_report_is_a_command(
    command: str, recorded: Callable[[str], Profile], pipeprof: Pipeprof, tmp_path: Path
) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(encode(hostile_profile(recorded("input-bound"), command)))
    for flags in ([], ["-v"], ["--json"]):
        result = pipeprof("show", path, *flags)
        assert result.code == 0, result.err
        assert not LIKE_A_COMMAND.search(result.out)
    assert json.loads(result.out)["target"]["text"] == command
    assert pipeprof("show", path, "--out", tmp_path / "a.txt").code == 0
    assert not LIKE_A_COMMAND.search((tmp_path / "a.txt").read_text())


@pytest.mark.parametrize("color", [False, True])
def test_every_kind_of_block_is_harmless(color: bool) -> None:
    cut = "word " * 7
    blocks = [
        Heading("::error::a", "b"),
        Text(f"{cut}::error::a"),
        Pairs([("::k::", f"{cut}::error::b")]),
        Code("::error::a\n::b::c"),
        Code("::v::", label="::k::", note="::n::"),
        Table([Column("::a::", ["::x::y"]), Column("b", ["##[c]"])]),
        Card("::t::", "::g::", [Text("::error::c", indent=0)]),
    ]
    text = without_commands(paint(blocks, Style(40, color=color)))
    assert text.count(r"\x3a:") >= 6
    assert not LIKE_A_COMMAND.search(text)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_no_line_of_check_is_a_command(flags: list[str], pipeprof: Pipeprof, tmp_path: Path) -> None:
    path = tmp_path / "##[error]spec.yaml"
    words = "word " * 30
    path.write_text(
        f'version: 1\nname: "::error::x ##[error]"\ndescription: "{words}::error::x ##[error]"\n'
        'source: {from_tensor_slices: {tensors: {value: ["::error::a", "##[error]b"]}}}\n'
        'stages: [{map: {name: "::error::n", ops: [{tf.strings.join: {inputs: ["##[x]"]}}]}}]\n'
    )
    result = pipeprof("check", path, *flags)
    assert not LIKE_A_COMMAND.search(result.out + result.err), result.out + result.err


def test_no_error_message_is_a_command(pipeprof: Pipeprof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "a\n::error::b"))
    for arguments in (
        ["check", "::error::x.yaml"],
        ["show", "a\n::error::x"],
        ["data", "list"],
        ["rules", "##[error]"],
    ):
        result = pipeprof(*arguments)
        assert not LIKE_A_COMMAND.search(result.out + result.err), result.err
